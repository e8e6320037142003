import { createClient } from "../../shared/base/rpc/client.js";
import type { ServerSpec } from "../../shared/gen/retort/v1/server_pb.js";
import { TeacherService, type TeacherServiceDescribeResponse } from "../../shared/gen/retort/v1/teacher_pb.js";

/** Where a teacher answers. */
export interface TeacherServer {
  /** host:port */
  readonly address: string;
  /** What it asks its callers for. */
  readonly token: string;
  /** What to describe, of a server that describes any. */
  readonly source: TeacherSource;
}

/** Which teacher is meant, as a spec has it: a directory, and where the model runs if that is not here. */
export interface TeacherSource {
  readonly model: string;
  readonly server?: ServerSpec | undefined;
}

/** Longest wait for an answer: a checkpoint's headers and a large vocabulary from a slow disk. */
const timeoutMs = 60_000;

/** Largest answer: a vocabulary of a few million tokens. */
const maxMessageBytes = 64 * 1024 * 1024;

/**
 * Asks a teacher what it is, and for its vocabulary where that is unlike one that is known.
 *
 * @param digest of the vocabulary that the teacher should have; undefined if none is known: then the teacher's is not asked for
 * @throws what keeps the teacher from reading its model, with its sentence; Unavailable or DeadlineExceeded if it does not answer
 */
export async function askTeacher(
  { address, token, source: { model, server } }: TeacherServer,
  digest: string | undefined,
): Promise<TeacherServiceDescribeResponse> {
  const client = createClient(TeacherService, address, { timeoutMs, maxMessageBytes, token });
  try {
    const description = await client.describe({ model, ...(server && { server }) });
    const isKnown = digest === undefined || digest === description.tokenizerDigest;
    return isKnown ? description : await client.describe({ model, ...(server && { server }), vocabulary: true });
  } finally {
    client.close();
  }
}
