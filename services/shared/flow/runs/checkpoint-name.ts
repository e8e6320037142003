/** Name of the directory of a run's checkpoint, beside those of its other steps. */
export const checkpointName = (step: number): string => `step-${String(step).padStart(8, "0")}`;

/** The step that a directory's name says; undefined if it is no checkpoint's. */
export const checkpointStep = (name: string): number | undefined => (/^step-\d{8,}$/.test(name) ? Number(name.slice(5)) : undefined);
