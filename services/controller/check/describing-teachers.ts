import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import { RetortError } from "../../shared/base/errors.js";
import type { TeacherServer, TeacherSource } from "./ask-teacher.js";
import { type DescribingOptions, DescribingProcess } from "./describing-process.js";

/** Most processes at a time: each takes some 100 MiB, and a second to start. */
const most = 2;

/** How long a process that nothing asks is kept: a run that was started has better use for its memory, soon. */
const idleMs = 10_000;

/** How long a process may take to be seen to have ended after its connection broke. */
const breakMs = 1000;

/** A process that nothing asks. */
interface Idle {
  readonly process: DescribingProcess;
  readonly timer: NodeJS.Timeout;
}

/**
 * Teachers of this machine that describe model directories: the same program as the teacher of a run, in processes of their
 * own, without weights. They read the files again at each question, so that keeping one for a while makes no answer stale.
 */
export class DescribingTeachers {
  readonly #options: DescribingOptions;
  readonly #turns = pLimit(most);
  readonly #idle: Idle[] = [];

  constructor(options: DescribingOptions) {
    this.#options = options;
  }

  /** Starts a process if there is none, so that it may be ready when one is asked. */
  prepare(): void {
    if (this.#idle.length + this.#turns.activeCount === 0) this.#keep(new DescribingProcess(this.#options));
  }

  /**
   * Calls work with a server that describes a teacher, in turn with other calls.
   *
   * @throws what the work throws; ResourceExhausted, never to be repeated, if the process needs too much memory
   */
  ask<T>(source: TeacherSource, work: (server: TeacherServer) => Promise<T>): Promise<T> {
    return this.#turns(async () => {
      const teacher = this.#take();
      try {
        const result = await work({ ...(await teacher.server), source });
        this.#keep(teacher);
        return result;
      } catch (error) {
        // A connection that broke says less than the end of the process behind it.
        const end = RetortError.from(error).code === "Unavailable" ? await Promise.race([teacher.ended, sleep(breakMs)]) : undefined;
        teacher.kill();
        throw end ?? error;
      }
    });
  }

  #take(): DescribingProcess {
    const kept = this.#idle.pop();
    if (!kept) return new DescribingProcess(this.#options);
    clearTimeout(kept.timer);
    kept.process.hold(true);
    return kept.process;
  }

  #keep(teacher: DescribingProcess): void {
    teacher.hold(false);
    const leave = () => {
      const at = this.#idle.findIndex(({ process }) => process === teacher);
      if (at < 0) return;
      clearTimeout(this.#idle.splice(at, 1)[0]?.timer);
      teacher.kill();
    };
    const timer = setTimeout(leave, idleMs);
    timer.unref();
    this.#idle.push({ process: teacher, timer });
    void teacher.ended.then(leave);
  }
}
