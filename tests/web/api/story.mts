// The story of a second factor, by the client in TypeScript, as an app that has a bearer token.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

import { ProblemError, Twofold } from "../../../clients/typescript/twofold.ts";

const site = process.argv[2] ?? "";
const post = async (path: string): Promise<any> => (await fetch(`${site}${path}`, { method: "POST" })).json();

/** A code of an authenticator app (RFC 6238), and then the next one: the clock of the server goes on. */
async function code(secret: string): Promise<string> {
  const { now } = await post("/forward");
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"));
  const key = Buffer.from((bits.join("").match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 30)));
  const mac = createHmac("sha1", key).update(counter).digest();
  const number = mac.readUInt32BE((mac.at(-1) ?? 0) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

async function reason(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (problem) {
    assert.ok(problem instanceof ProblemError);
    return problem.problem.reason;
  }
  return "none";
}

/** What is not described does not compile: nobody calls this. */
export function wrong(mfa: Twofold): void {
  // @ts-expect-error A code is needed.
  void mfa.answer({ trust_device: true });
  // @ts-expect-error Devices have numbers.
  void mfa.revokeDevice("7");
  // @ts-expect-error Somebody who is signed out has no account.
  void mfa.status().then(({ account }) => account.is_enrolled);
}

let token: string | null = (await post("/login?is_app=true")).access_token;
const mfa = new Twofold(`${site}/mfa`, { authorization: () => (token === null ? null : `Bearer ${token}`) });
assert.equal((await mfa.status()).state, "signed_in");
const begun = await mfa.beginTotp();
const confirmed = await mfa.confirmTotp({ code: await code(begun.secret) });
assert.equal(confirmed.backup_codes?.length, 10);
assert.equal((await mfa.keepBackupCodes()).codes, null);

token = null;
const { challenge } = await post("/login?is_app=true");
assert.equal(await reason(mfa.answer({ code: "000000x", challenge })), "malformed");
const passed = await mfa.answer({ code: await code(begun.secret), challenge, trust_device: true });
token = String(passed.session?.["access_token"]);
assert.ok((await mfa.status()).is_fresh);

const [device] = (await mfa.devices()).devices;
assert.ok(device);
await mfa.renameDevice(device.id, { name: "My phone" });
mfa.proof = null;
assert.equal(await reason(mfa.revokeDevice(device.id)), "stale");
await mfa.reverify({ code: await code(begun.secret) });
await mfa.revokeDevice(device.id);
assert.equal(await reason(mfa.revokeDevice(999)), "no_such_device");
assert.equal((await mfa.events({ limit: 1 })).events[0]?.kind, "device_revoked");
assert.equal((await mfa.regenerateBackupCodes()).codes?.length, 10);
await mfa.disableTotp();
assert.equal((await mfa.status()).account?.is_enrolled, false);
console.log("the story is told");
