import type { RetortError } from "../../shared/base/errors.js";
import type { Client } from "../../shared/base/rpc/client.js";
import type { ControllerService } from "../../shared/gen/retort/v1/controller_pb.js";
import type { TeacherService } from "../../shared/gen/retort/v1/teacher_pb.js";

/** Where progress is shown; a terminal or not. */
export type Terminal = NodeJS.WritableStream & { readonly isTTY?: boolean };

/** NATS and a controller that run for the length of some jobs. */
export interface Service {
  readonly controller: Client<typeof ControllerService>;
  /** Settles when it has failed too often to go on. */
  readonly ended: Promise<RetortError>;
  stop(): Promise<void>;
}

/** A model directory behind a TeacherService of its own. */
export interface ServedModel {
  readonly client: Client<typeof TeacherService>;
  stop(): Promise<void>;
}

/** Shows how far a set of runs is. */
export interface Progress {
  /** Counts work as done, in units of one optimiser step over one prompt. */
  advance(work: number, line: string): void;
  /** Says that a run is finished. */
  finished(label: string, figures: string): void;
  stop(): void;
}

/** What the experiments need of the program that runs them: its terminal, and processes that end when it does. */
export interface Host {
  readonly terminal: Terminal;
  /** A table as the terminal shows it. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): string;
  /** A text in bold, as far as the terminal shows that. */
  bold(text: string): string;
  /** Begins to show how far a set of runs is, of a total of work. */
  progress(total: number): Progress;
  /** Starts NATS and a controller with their files in a directory. */
  startService(directory: string): Promise<Service>;
  /** Serves a model directory. @throws the reason if it cannot be loaded */
  serveModel(directory: string): Promise<ServedModel>;
  /** Works in a directory of its own, which is gone afterwards, also after Ctrl-C. @param prefix of its path */
  withScratch<T>(prefix: string, work: (directory: string) => Promise<T>): Promise<T>;
  /**
   * Ends something when the program is ended from outside: first in order, then at once. Returns the function that takes
   * it out of this care again.
   */
  supervise(one: { stop(): Promise<void>; kill(): void }): () => void;
}
