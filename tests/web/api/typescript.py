"""clients/typescript/twofold.ts, made from the description of the door: types, and a method for each operation.

`python -m tests.web.api.documented` writes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.databases import ROOT
from twofold.web.api.openapi import openapi

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = ROOT / "clients" / "typescript" / "twofold.ts"

_HEAD = """\
// The JSON door of Twofold for browsers and apps: no dependency but `fetch`. Made from docs/openapi.json.
//
//     const mfa = new Twofold("/mfa");                                         // a page's script: the cookie serves
//     const mfa = new Twofold("https://example.com/mfa", { authorization });   // an app, with its bearer token
//
// What is refused is thrown as a ProblemError: show `message` to the person, and look at `problem.reason`.

"""
_CLIENT = """\
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
"""
_END = """\

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
"""


def source() -> str:
    """The file as it has to be."""
    described = openapi("/mfa")
    schemas = described["components"]["schemas"]
    types = "\n".join(line for name, schema in schemas.items() for line in _type(name, schema))
    methods = "\n".join(
        line
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        for line in _method(path.removeprefix("/mfa/api"), method.upper(), operation)
    )
    return f"{_HEAD}{types}\n{_CLIENT}{methods}\n{_END}"


def _type(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"/** {schema['description']} */"
    yield f"export type {name} = {{"
    for field, value in schema["properties"].items():
        if told := value.get("description"):
            yield f"  /** {told} */"
        yield f"  {field}{'' if field in schema.get('required', ()) else '?'}: {_written(value)};"
    yield "};"
    yield ""


def _written(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " | ".join(_written(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f'"{one}"' for one in schema["enum"])
    kind = schema["type"]
    if kind == "array":
        inner = _written(schema["items"])
        return f"({inner})[]" if " " in inner else f"{inner}[]"
    return {"object": "Record<string, unknown>", "integer": "number"}.get(kind) or str(kind)


def _method(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    named = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
    query = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    taken, sent = [f"{_camel(name)}: number" for name in named], ""
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        taken, sent = [*taken, f"body: {body}"], ", { body }"
    elif query:
        taken, sent = [f"query: {{ {'; '.join(f'{name}?: number' for name in query)} }} = {{}}"], ", { query }"
    address = re.sub(r"\{(\w+)\}", lambda found: f"${{{_camel(found[1])}}}", path)
    yield ""
    yield f"  /** {operation['description']} */"
    yield f"  {_camel(operation['operationId'])}({', '.join(taken)}): Promise<{answer}> {{"
    yield f'    return this.#ask("{method}", `{address}`{sent});'
    yield "  }"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
