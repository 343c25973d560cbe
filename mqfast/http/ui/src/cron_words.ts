// A cron's schedule in words, for the common forms; "" for the others: better none than wrong ones.
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const NAMES: Record<string, number> = { SUN: 0, MON: 1, TUE: 2, WED: 3, THU: 4, FRI: 5, SAT: 6 };
const NICKNAMES: Record<string, string> = {
  "@hourly": "every hour",
  "@daily": "every day at 00:00",
  "@midnight": "every day at 00:00",
  "@weekly": "Sundays at 00:00",
  "@monthly": "on the 1st of each month at 00:00",
  "@yearly": "on 1 January at 00:00",
  "@annually": "on 1 January at 00:00",
};

const isNumber = (text: string): boolean => /^\d{1,2}$/.test(text);
const two = (text: string): string => text.padStart(2, "0");

function every(step: string, unit: string): string {
  const n = Number(step);
  return n === 1 ? `every ${unit}` : `every ${n} ${unit}s`;
}

function weekdays(text: string): string {
  const day = (each: string): string => DAYS[NAMES[each.toUpperCase()] ?? (/^[0-7]$/.test(each) ? Number(each) : -1)] ?? "";
  const [from, to] = text.split("-");
  if (to !== undefined) return day(from!) && day(to) ? `${day(from!)} to ${day(to)}` : "";
  const all = text.split(",").map(day);
  return all.every(Boolean) ? all.map((each) => `${each}s`).join(", ") : "";
}

export function inWords(schedule: string): string {
  const nickname = NICKNAMES[schedule.toLowerCase()];
  if (nickname) return nickname;
  const alone = /^\*\/(\d+)$/.exec(schedule);
  if (alone) return every(alone[1]!, "second");
  const fields = schedule.split(/\s+/);
  if (fields.length === 6 && fields[0] === "0") fields.shift();
  if (fields.length !== 5) return "";
  const [minute, hour, date, month, day] = fields as [string, string, string, string, string];
  if (month !== "*") return "";
  const step = /^\*\/(\d+)$/.exec(minute);
  if (date === "*" && day === "*") {
    if (hour === "*" && minute === "*") return "every minute";
    if (hour === "*" && step && 60 % Number(step[1]) === 0) return every(step[1]!, "minute");
    if (hour === "*" && isNumber(minute)) return `every hour at ${two(minute)} past`;
    const hours = /^\*\/(\d+)$/.exec(hour);
    if (hours && isNumber(minute) && 24 % Number(hours[1]) === 0) return `${every(hours[1]!, "hour")} at ${two(minute)} past`;
  }
  if (!isNumber(minute) || !isNumber(hour)) return "";
  const time = `at ${two(hour)}:${two(minute)}`;
  if (date === "*" && day === "*") return `every day ${time}`;
  if (date === "*") return weekdays(day) ? `${weekdays(day)} ${time}` : "";
  return day === "*" && isNumber(date) ? `on day ${Number(date)} of each month ${time}` : "";
}
