import { Scope } from "../../gen/retort/v1/access_pb.js";

/** Who makes a call, as its token says it; nothing that a caller says of itself. */
export interface Caller {
  /** The tenant whose token it is; empty for a token that is nobody's own, and where there are no tokens. */
  readonly name: string;
  readonly scope: Scope;
}

/** The caller of a server that asks for no token: it may do everything. */
export const anyone: Caller = { name: "", scope: Scope.ADMIN };
