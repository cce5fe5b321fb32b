// The JSON door of Twofold for browsers and apps: no dependency but `fetch`. Made from docs/openapi.json.
//
//     const mfa = new Twofold("/mfa");                                         // a page's script: the cookie serves
//     const mfa = new Twofold("https://example.com/mfa", { authorization });   // an app, with its bearer token
//
// What is refused is thrown as a ProblemError: show `message` to the person, and look at `problem.reason`.

/** How somebody's second factor stands. */
export type Account = {
  is_enrolled: boolean;
  has_app: boolean;
  /** How many can answer a challenge. */
  passkeys: number;
  /** A set-up waits for its first code. */
  is_pending: boolean;
  enabled_at: string | null;
  last_used_at: string | null;
  /** Until then codes are not looked at. */
  waiting_until: string | null;
  exhausted_until: string | null;
  is_suspended: boolean;
  backup_codes_remaining: number;
  backup_codes_kept: boolean;
  trusted_devices: number;
  algorithm: string;
  digits: number;
  /** In seconds. */
  period: number;
  /** Tables whose rows of this user do not count: make new ones. */
  altered: string[];
};

/** A code, for a login that waits. */
export type Answering = {
  /** Ask for no code on this device for a while. */
  trust_device?: boolean;
  /** Of an app: the token of the challenge. */
  challenge?: string | null;
  /** Of an app: the token that this device has kept. */
  device_token?: string | null;
  /** A code of the app, or a backup code. */
  code: string;
};

/** A place in what was sent, and what is wrong there. */
export type At = {
  /** A JSON pointer (RFC 6901), or the name of a parameter or a header. */
  at: string;
  problem: string;
};

/** How many backup codes are left; and the new ones, to the session that made them, until they are kept. */
export type BackupCodes = {
  /** What the application gives with it, as a new token of its own. */
  session: Record<string, unknown> | null;
  remaining: number;
  is_kept: boolean;
  codes: string[] | null;
  made_at: string | null;
  /** Until then the codes are shown again. */
  expires_at: string | null;
};

/** What a browser is to ask a passkey for. */
export type Ceremony = {
  /** For `parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` (WebAuthn Level 3 §5.1.8). */
  options: Record<string, unknown>;
  expires_at: string;
};

/** What a login waits for. */
export type Challenge = {
  factors: ("passkeys" | "totp" | "backup_codes")[];
  /** For `parseRequestOptionsFromJSON`; None where no passkey can answer. */
  passkey_options: Record<string, unknown> | null;
  /** How long a code of the app is. */
  digits: number;
  expires_at: string;
  may_trust_device: boolean;
};

/** One code. */
export type Coded = {
  /** A code of the app, or a backup code. */
  code: string;
};

/** The authenticator app is set up. `proof` is None where this came twice. */
export type Confirmed = {
  /** What the application gives with it, as a new token of its own. */
  session: Record<string, unknown> | null;
  /** The new ones, None once they are kept. */
  backup_codes: string[] | null;
  /** That the second factor was given; None where this came twice. */
  proven: Proven | null;
};

/** A browser or an app that may skip the code for a while. */
export type Device = {
  id: number;
  name: string;
  browser: string | null;
  platform: string | null;
  ip_address: string | null;
  location: string | null;
  usage_count: number;
  created_at: string;
  last_used_at: string | null;
  trusted_until: string;
  is_active: boolean;
  /** An old token of it came, so a code is asked for. */
  is_contested: boolean;
  is_this: boolean;
};

/** The trusted devices, and how many there may be. */
export type Devices = {
  devices: Device[];
  limit: number;
};

/** It is done. */
export type Done = {
  /** What the application gives with it, as a new token of its own. */
  session: Record<string, unknown> | null;
};

/** A secret that waits for its first code. */
export type Enrollment = {
  /** To be typed by hand, in base32. */
  secret: string;
  /** The otpauth address, which opens an app on a phone. */
  uri: string;
  /** The same as a picture: an SVG element. */
  qr_svg: string;
  label: string;
  algorithm: string;
  digits: number;
  period: number;
  expires_at: string;
};

/** What has happened, in words for its owner. */
export type Event = {
  seq: number;
  kind: string;
  status: string;
  at: string;
  sentence: string;
  /** From where, as far as it is known. */
  place: string;
};

/** The latest events, the newest first. */
export type Events = {
  events: Event[];
  /** Give it back for the next page; None on the last one. */
  before: number | null;
};

/** What an app keeps of a device that is trusted, and gives to the application's login the next time. */
export type KeptDevice = {
  token: string;
  expires_at: string;
};

/** The name of a device, or of a passkey. */
export type Naming = {
  /** 1 to 64 characters that can be seen. */
  name: string;
};

/** The login is over. */
export type Passed = {
  /** What the application gives with it, as a new token of its own. */
  session: Record<string, unknown> | null;
  /** How: `pwd`, `otp` and `mfa` (RFC 8176), `backup_code` for one on paper. */
  amr: string[];
  /** When, in seconds since 1970. */
  auth_time: number;
  /** Until then, changes need no further code. */
  fresh_until: string;
  /** For an app: what to send as `Twofold-Proof`. */
  proof: string | null;
  /** For an app that asked to be trusted. */
  device: KeptDevice | null;
};

/** A passkey. */
export type Passkey = {
  id: number;
  name: string;
  /** Whether it can answer a challenge. */
  is_active: boolean;
  is_synced: boolean;
  verifies_user: boolean;
  transports: string[];
  created_at: string;
  last_used_at: string | null;
  /** Since then it is not accepted: it may have been copied. */
  suspended_at: string | null;
};

/** The passkeys that are not revoked, how many there may be, and whether one can be registered here. */
export type Passkeys = {
  passkeys: Passkey[];
  limit: number;
  are_offered: boolean;
};

/** What went wrong (RFC 9457). */
export type Problem = {
  /** A URN that never changes. */
  type: string;
  title: string;
  status: number;
  /** The last word of the type. */
  reason: string;
  /** A sentence for the person, in their language. */
  detail?: string | null;
  /** Seconds until it is worth another try. */
  retry_after?: number | null;
  /** How old, in seconds, the code may be that is needed. */
  max_age?: number | null;
  errors?: At[] | null;
};

/** The second factor was given. */
export type Proven = {
  /** What the application gives with it, as a new token of its own. */
  session: Record<string, unknown> | null;
  /** How: `pwd`, `otp` and `mfa` (RFC 8176), `backup_code` for one on paper. */
  amr: string[];
  /** When, in seconds since 1970. */
  auth_time: number;
  /** Until then, changes need no further code. */
  fresh_until: string;
  /** For an app: what to send as `Twofold-Proof`. */
  proof: string | null;
};

/** A passkey is registered. `backup_codes` are new where it is the first factor, and None else. */
export type RegisteredPasskey = {
  /** What the application gives with it, as a new token of its own. */
  session: Record<string, unknown> | null;
  passkey: Passkey;
  backup_codes: string[] | null;
  proven: Proven;
};

/** A new passkey, as the browser brings it. */
export type Registering = {
  /** What `toJSON()` of the browser's credential gives. */
  passkey: Record<string, unknown>;
  /** What its owner calls it; the browser's name where nothing is said. */
  name?: string | null;
};

/** What a passkey signed. */
export type Signed = {
  /** What `toJSON()` of the browser's credential gives. */
  passkey: Record<string, unknown>;
};

/** What a passkey signed, for a login that waits. */
export type Signing = {
  /** Ask for no code on this device for a while. */
  trust_device?: boolean;
  /** Of an app: the token of the challenge. */
  challenge?: string | null;
  /** Of an app: the token that this device has kept. */
  device_token?: string | null;
  /** What `toJSON()` of the browser's credential gives. */
  passkey: Record<string, unknown>;
};

/** Who this session belongs to, and what it may do without a further code. */
export type Standing = {
  state: "signed_out" | "waiting" | "signed_in";
  user_id: string | null;
  account_name: string | null;
  /** What a browser sends as `X-CSRF-Token`. */
  csrf_token: string | null;
  /** Of a login that waits. */
  challenge: Challenge | null;
  /** Of somebody who is signed in. */
  account: Account | null;
  /** When the second factor was given, in seconds since 1970. */
  auth_time: number | null;
  /** How it was given (RFC 8176). */
  amr: string[];
  /** Whether changes need no further code. */
  is_fresh: boolean;
  fresh_until: string | null;
};

export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

export type Options = {
  /** The header `Authorization` of an app, each time anew. A page's script has none: its session is a cookie. */
  authorization?: () => string | null;
  /** The language of `message`, as `de`; the browser's own where it is not given. */
  language?: string;
  fetch?: typeof fetch;
};

type Kept = { proof?: string | null; proven?: { proof: string | null } | null; csrf_token?: string | null };
type Sent = { body?: object; query?: Record<string, number | undefined> };

export class Twofold {
  /** The last proof that an app was given. A page's script has none: its session keeps it. */
  proof: string | null = null;
  readonly #base: string;
  readonly #options: Options;
  #csrf: string | null = null;

  constructor(base: string, options: Options = {}) {
    this.#base = base;
    this.#options = options;
  }

  /** Tell who is here, how their second factor stands, and what may be done without a further code. */
  status(): Promise<Standing> {
    return this.#ask("GET", `/status`);
  }

  /** Tell what a login waits for. */
  challenge(): Promise<Challenge> {
    return this.#ask("GET", `/challenge`);
  }

  /** Answer the challenge. The application begins a session, and gives an app what belongs to it in `session`. */
  answer(body: Answering): Promise<Passed> {
    return this.#ask("POST", `/challenge`, { body });
  }

  /** Answer the challenge with what a passkey signed: what `passkey_options` asked for. */
  answerByPasskey(body: Signing): Promise<Passed> {
    return this.#ask("POST", `/challenge/passkey`, { body });
  }

  /** Give up a login that waits. */
  cancel(): Promise<Done> {
    return this.#ask("POST", `/challenge/cancel`);
  }

  /** Take a code of somebody who is signed in, so that changes are allowed for a few minutes. */
  reverify(body: Coded): Promise<Proven> {
    return this.#ask("POST", `/reverify`, { body });
  }

  /** Tell what a passkey is to sign, so that changes are allowed for a few minutes. */
  askPasskey(): Promise<Ceremony> {
    return this.#ask("GET", `/reverify/passkey`);
  }

  /** Take what a passkey signed, so that changes are allowed for a few minutes. */
  reverifyByPasskey(body: Signed): Promise<Proven> {
    return this.#ask("POST", `/reverify/passkey`, { body });
  }

  /** Make a secret. Replacing an app that works needs a fresh code. */
  beginTotp(): Promise<Enrollment> {
    return this.#ask("POST", `/totp/begin`);
  }

  /** Show the secret that waits for its first code once more, to the session that began. */
  pendingTotp(): Promise<Enrollment> {
    return this.#ask("GET", `/totp/pending`);
  }

  /** Take the first code of the app. From then on every login is challenged. The backup codes are new. */
  confirmTotp(body: Coded): Promise<Confirmed> {
    return this.#ask("POST", `/totp/confirm`, { body });
  }

  /** End the app of somebody whose passkeys go on; where none do, the second factor as a whole ends. */
  disableTotp(): Promise<Done> {
    return this.#ask("POST", `/totp/disable`);
  }

  /** Turn the second factor off: app, passkeys, backup codes and trusted devices go. */
  disable(): Promise<Done> {
    return this.#ask("POST", `/disable`);
  }

  /** List the passkeys, the newest first, with those that are suspended. */
  passkeys(): Promise<Passkeys> {
    return this.#ask("GET", `/passkeys`);
  }

  /** End all passkeys of somebody whose app goes on, those that were altered, too. */
  revokePasskeys(): Promise<Done> {
    return this.#ask("DELETE", `/passkeys`);
  }

  /** Ask for a new passkey. Beside a factor in force that needs a fresh code. */
  beginPasskey(): Promise<Ceremony> {
    return this.#ask("POST", `/passkey/begin`);
  }

  /** Take in what the browser brings. Where it is the first factor, every login is challenged from now on. */
  confirmPasskey(body: Registering): Promise<RegisteredPasskey> {
    return this.#ask("POST", `/passkey/confirm`, { body });
  }

  /** Give a passkey the name that its owner calls it by. */
  renamePasskey(passkeyId: number, body: Naming): Promise<Done> {
    return this.#ask("PATCH", `/passkeys/${passkeyId}`, { body });
  }

  /** End one passkey. The last factor stays: `disable` ends that. */
  revokePasskey(passkeyId: number): Promise<Done> {
    return this.#ask("DELETE", `/passkeys/${passkeyId}`);
  }

  /** Count the backup codes, and show new ones to the session that made them, until they are kept. */
  backupCodes(): Promise<BackupCodes> {
    return this.#ask("GET", `/backup-codes`);
  }

  /** Make new backup codes; the old ones end. While new ones wait to be kept, those are shown and none are made. */
  regenerateBackupCodes(): Promise<BackupCodes> {
    return this.#ask("POST", `/backup-codes`);
  }

  /** Say that the new backup codes are kept: from then on nobody sees them. */
  keepBackupCodes(): Promise<BackupCodes> {
    return this.#ask("POST", `/backup-codes/kept`);
  }

  /** List the devices that may skip the code for a while. */
  devices(): Promise<Devices> {
    return this.#ask("GET", `/devices`);
  }

  /** Stop trusting every device. */
  revokeDevices(): Promise<Done> {
    return this.#ask("DELETE", `/devices`);
  }

  /** Give a device the name that its owner calls it by. */
  renameDevice(deviceId: number, body: Naming): Promise<Done> {
    return this.#ask("PATCH", `/devices/${deviceId}`, { body });
  }

  /** Stop trusting one device. */
  revokeDevice(deviceId: number): Promise<Done> {
    return this.#ask("DELETE", `/devices/${deviceId}`);
  }

  /** Tell what has happened to one's own second factor, the newest first. */
  events(query: { before?: number; limit?: number } = {}): Promise<Events> {
    return this.#ask("GET", `/events`, { query });
  }

  async #ask<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
    const authorization = this.#options.authorization?.() ?? null;
    const isApp = this.#options.authorization !== undefined;
    if (method !== "GET" && !isApp && this.#csrf === null) await this.status();
    const headers: Record<string, string> = {};
    if (sent.body !== undefined) headers["Content-Type"] = "application/json";
    if (this.#options.language !== undefined) headers["Accept-Language"] = this.#options.language;
    if (authorization !== null) headers["Authorization"] = authorization;
    if (isApp && this.proof !== null) headers["Twofold-Proof"] = this.proof;
    if (!isApp && this.#csrf !== null) headers["X-CSRF-Token"] = this.#csrf;
    const asked = Object.entries(sent.query ?? {}).filter(([, value]) => value !== undefined);
    const pairs = asked.map(([name, value]): [string, string] => [name, `${value}`]);
    const query = pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`;
    const init: RequestInit = { method, headers, credentials: isApp ? "omit" : "same-origin" };
    if (sent.body !== undefined) init.body = JSON.stringify(sent.body);
    const response = await (this.#options.fetch ?? fetch)(`${this.#base}/api${path}${query}`, init);
    const answer: unknown = await response.json();
    if (!response.ok) {
      const problem = answer as Problem;
      // The session is another one: the next request asks for its token.
      if (problem.reason === "csrf") this.#csrf = null;
      throw new ProblemError(problem);
    }
    this.#keep(answer as Kept);
    return answer as T;
  }

  #keep(answer: Kept): void {
    const proof = answer.proof ?? answer.proven?.proof;
    if (proof) this.proof = proof;
    if (answer.csrf_token !== undefined) this.#csrf = answer.csrf_token;
  }
}
