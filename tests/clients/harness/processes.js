// Which processes descend from one, as /proc tells (proc(5)).

import { readdirSync, readFileSync } from "node:fs";

/** The process `pid` and all that descend from it. */
export function familyOf(pid) {
  const running = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => read(Number(name)))
    .filter((found) => found !== undefined);
  const family = running.filter((found) => found.pid === pid);
  // Grows while it is walked: first the children, then theirs.
  for (const member of family) {
    family.push(...running.filter((found) => found.parent === member.pid));
  }
  return family;
}

/** Whether it still runs. A process id alone may be another's by now; one that waits to be reaped runs no more. */
export function isRunning(known) {
  const now = read(known.pid);
  return now !== undefined && now.startedAt === known.startedAt && now.state !== "Z";
}

function read(pid) {
  let stat;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name is in parentheses and may hold some itself; what follows the last one is field 3 and on.
  const nameEnd = stat.lastIndexOf(")");
  const fields = stat.slice(nameEnd + 2).split(" ");
  return {
    pid,
    name: stat.slice(stat.indexOf("(") + 1, nameEnd),
    state: fields[0],
    parent: Number(fields[1]),
    startedAt: fields[19],
  };
}
