import { createHash, timingSafeEqual } from "node:crypto";
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import grpc from "@grpc/grpc-js";
import { Scope, scope } from "../../gen/retort/v1/access_pb.js";
import { counted } from "../counted.js";
import { RetortError } from "../errors.js";
import type { ProcessSettings } from "../settings.js";
import { anyone, type Caller } from "./caller.js";
import { toStatus } from "./status.js";

/** A bearer token, and what it permits. */
export interface Grant extends Pick<Caller, "scope"> {
  readonly token: string;
  /** Whose it is, where it is a tenant's. */
  readonly name?: string;
}

/** What a server asks of its callers. */
export interface AccessOptions {
  /** Without any, every caller may do everything. */
  readonly grants: readonly Grant[];
  /** Most calls in progress, streams included; health checks don't count. */
  readonly maxCalls: number;
}

/**
 * The tokens of a process's settings.
 *
 * @param tenants those of its tenants
 * @throws InvalidArgument if there are lesser ones without one that permits everything, or two are alike
 */
export function grantsOf(
  { token, runToken, readToken }: Pick<ProcessSettings, "token" | "runToken" | "readToken">,
  tenants: readonly Grant[] = [],
): Grant[] {
  if (!token && (runToken || readToken))
    throw new RetortError("InvalidArgument", "--run-token and --read-token need --token, which permits everything; give it too");
  if (!token && tenants.length) throw new RetortError("InvalidArgument", "--tenants needs --token, which permits everything; give it too");
  const own = [
    { token, scope: Scope.ADMIN },
    { token: runToken, scope: Scope.RUN },
    { token: readToken, scope: Scope.READ },
  ].filter((grant): grant is Grant => grant.token !== undefined);
  if (new Set(own.map((grant) => grant.token)).size < own.length)
    throw new RetortError("InvalidArgument", "two of --token, --run-token and --read-token are alike; give each scope a token of its own");
  const grants = [...own, ...tenants];
  const alike = tenants.find((one) => grants.some((other) => other !== one && other.token === one.token));
  if (alike) throw new RetortError("InvalidArgument", `the token of the tenant ${alike.name} is another's too; give each one of its own`);
  return grants;
}

/** The least scope that a method asks for, as its proto says. @throws Internal for a method without one */
export function scopeOf(method: DescMethod): Scope {
  const declared = getOption(method, scope);
  if (declared === Scope.UNSPECIFIED)
    throw new RetortError("Internal", `${method.parent.typeName}/${method.name} declares no scope; add option (scope) to its proto`);
  return declared;
}

/** Probes must see the health without a token; reflection says what there is to call. */
const openPath = "/grpc.health.v1.Health/";
const reflectionPath = /^\/grpc\.reflection\./;

/** The scope that each path of a gRPC server asks for; what is none of its methods needs the widest. */
export function scopesOf(services: readonly DescService[]): (path: string) => Scope {
  const scopes = new Map(
    services.flatMap(({ typeName, methods }) => methods.map((method): [string, Scope] => [`/${typeName}/${method.name}`, scopeOf(method)])),
  );
  return (path) => scopes.get(path) ?? (reflectionPath.test(path) ? Scope.READ : Scope.ADMIN);
}

/** Who may call what, and how much at a time. */
export class CallGate {
  readonly #options: AccessOptions;
  readonly #scopeOf: (path: string) => Scope;
  #calls = 0;

  /** @param scopeOf the least scope that a path asks for */
  constructor(scopeOf: (path: string) => Scope, options: AccessOptions) {
    this.#options = options;
    this.#scopeOf = scopeOf;
  }

  /**
   * Lets a call in, which then counts until {@link leave}: its caller's token must permit the method, and there must be room for one
   * more call.
   *
   * @param authorization what the caller shows, as `Bearer TOKEN`
   * @returns why it isn't let in
   */
  enter(path: string, authorization: string): RetortError | undefined {
    const { grants, maxCalls } = this.#options;
    const refused = checkToken(authorization, grants, this.#scopeOf(path)) ?? overload(this.#calls, maxCalls);
    if (!refused) this.#calls++;
    return refused;
  }

  leave(): void {
    this.#calls--;
  }
}

/** Lets calls in, before their messages are read; health checks are no calls. */
export function accessInterceptor(gate: CallGate): grpc.ServerInterceptor {
  return ({ path }, call) => {
    if (path.startsWith(openPath)) return new grpc.ServerInterceptingCall(call);
    let counted = false;
    const release = () => {
      if (counted) gate.leave();
      counted = false;
    };
    return new grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, admit) => {
            const refused = gate.enter(path, String(metadata.get("authorization")[0] ?? ""));
            if (refused) return call.sendStatus(toStatus(refused));
            counted = true;
            admit(metadata);
          },
          onCancel: release,
        }),
      sendStatus: (status, next) => {
        release();
        next(status);
      },
    });
  };
}

function overload(calls: number, maxCalls: number): RetortError | undefined {
  if (calls < maxCalls) return undefined;
  return new RetortError(
    "ResourceExhausted",
    `${counted(calls, "call is", "calls are")} in progress, and maxCalls is ${maxCalls}; try again later, or raise it`,
  );
}

/**
 * Why a caller may not call; undefined if it may.
 *
 * @param authorization `Bearer <token>`, as it was shown; empty if nothing was
 */
export function checkToken(authorization: string, grants: readonly Grant[], needed: Scope): RetortError | undefined {
  const { scope: permitted } = callerOf(authorization, grants) ?? { scope: Scope.UNSPECIFIED };
  if (permitted === Scope.UNSPECIFIED)
    return new RetortError("Unauthenticated", "this server needs a token: send the metadata `authorization: Bearer <token>`");
  if (permitted >= needed) return undefined;
  return new RetortError(
    "PermissionDenied",
    `this call needs a token of scope ${nameOf(needed)}, and the one shown has scope ${nameOf(permitted)}`,
  );
}

/**
 * Who shows a token; undefined for one that nobody has. Every token is compared, in a time that does not tell how much of it is right.
 *
 * @param authorization as of {@link checkToken}
 */
export function callerOf(authorization: string, grants: readonly Grant[]): Caller | undefined {
  if (grants.length === 0) return anyone;
  const shown = digest(authorization);
  let caller: Caller | undefined;
  for (const { token, scope: own, name = "" } of grants)
    if (timingSafeEqual(shown, digest(`Bearer ${token}`))) caller = { name, scope: own };
  return caller;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
const nameOf = (one: Scope): string => Scope[one].toLowerCase();
