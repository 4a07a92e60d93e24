// The pages, in the order of the menu. key: after g.
export const pages = [
  { id: "overview", label: "Overview", key: "o" },
  { id: "hours", label: "Hours", key: "h" },
  { id: "table", label: "Table", key: "t" },
  { id: "quarantine", label: "Quarantine", key: "q" },
  { id: "sql", label: "SQL", key: "s" },
  { id: "jobs", label: "Jobs", key: "j" },
  { id: "cost", label: "Cost", key: "c" },
];
