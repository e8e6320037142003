import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { BadRequest } from "nice-grpc-error-details";
import { errorTable, RetortError } from "../errors.js";
import { found } from "../found.js";
import type { Log } from "../log.js";
import { callerOf, type Grant } from "../rpc/access.js";
import { checkMessage } from "../rpc/check-message.js";
import type { CallContext, Implementation } from "../rpc/handlers.js";
import { traced, traceOf } from "../tracing.js";

type Handler = (request: unknown, context: CallContext) => unknown;

/**
 * Serves implementations over Connect, which speaks gRPC-Web and JSON: the same handlers, rules and errors as over gRPC.
 *
 * @param log is told of failures that mean a bug
 * @param grants the tokens that are let in; without any, everyone is
 */
export const connectRoutes =
  (implementations: readonly Implementation[], log: Log, grants: readonly Grant[] = []) =>
  (router: ConnectRouter): void => {
    for (const { service, handlers } of implementations)
      for (const method of service.methods) {
        const handler = handlers[method.localName] as Handler;
        if (method.methodKind === "unary") router.rpc(method as DescMethodUnary, unary(method, handler, log, grants));
        else if (method.methodKind === "server_streaming")
          router.rpc(method as DescMethodServerStreaming, stream(method, handler, log, grants));
      }
  };

const unary =
  (method: DescMethod, handler: Handler, log: Log, grants: readonly Grant[]) =>
  async (request: MessageShape<DescMessage>, context: HandlerContext): Promise<MessageShape<DescMessage>> => {
    try {
      checkMessage(method.input, request);
      const answer = await inTrace(method, context, async () => handler(request, contextOf(context, grants)));
      return create(method.output, answer as MessageInitShape<DescMessage>);
    } catch (error) {
      throw report(error, method, log);
    }
  };

const stream = (method: DescMethod, handler: Handler, log: Log, grants: readonly Grant[]) =>
  async function* (request: MessageShape<DescMessage>, context: HandlerContext): AsyncGenerator<MessageShape<DescMessage>> {
    try {
      checkMessage(method.input, request);
      for await (const answer of handler(request, contextOf(context, grants)) as AsyncIterable<MessageInitShape<DescMessage>>) {
        if (context.signal.aborted) return;
        yield create(method.output, answer);
      }
    } catch (error) {
      throw report(error, method, log);
    }
  };

const contextOf = ({ signal, requestHeader }: HandlerContext, grants: readonly Grant[]): CallContext => ({
  signal,
  caller: found(callerOf(requestHeader.get("authorization") ?? "", grants), "the caller that was let in"),
});

const inTrace = <T>({ parent, name }: DescMethod, { requestHeader }: HandlerContext, work: () => Promise<T>): Promise<T> =>
  traced(
    `${parent.typeName}/${name}`,
    { "rpc.system": "connect_rpc" },
    work,
    traceOf((key) => requestHeader.get(key) ?? undefined),
  );

function report(error: unknown, { name }: DescMethod, log: Log): ConnectError {
  const known = RetortError.from(error);
  if (known.code === "Internal" || known.code === "Unknown") log.error({ err: known, method: name }, "a call failed");
  return toConnectError(known);
}

/** An error as Connect sends it: its code, its sentence, and the fields at fault as google.rpc.BadRequest. */
export function toConnectError({ code, message, problems }: RetortError): ConnectError {
  const error = new ConnectError(message, errorTable[code].grpc);
  if (problems.length === 0) return error;
  const fieldViolations = problems.map(({ fieldPath, description }) => ({ field: fieldPath, description }));
  const value = BadRequest.encode(BadRequest.fromPartial({ fieldViolations })).finish();
  error.details = [{ type: BadRequest.$type, value, debug: { fieldViolations } } as unknown as ConnectError["details"][number]];
  return error;
}
