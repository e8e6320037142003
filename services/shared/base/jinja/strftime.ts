/** A date as C's strftime writes it. */
export const strftime = (date: Date, format: string): string =>
  format.replace(/%([YmdHMS])/g, (_, letter: string) => {
    const parts = {
      Y: date.getFullYear(),
      m: date.getMonth() + 1,
      d: date.getDate(),
      H: date.getHours(),
      M: date.getMinutes(),
      S: date.getSeconds(),
    };
    return String(parts[letter as keyof typeof parts]).padStart(2, "0");
  });
