// Commands and programs that can be copied as they are, made of the table's columns.
const EXAMPLES = {
  string: "text", varchar: "text", char: "t", boolean: true, tinyint: 1, smallint: 1, int: 1, integer: 1, bigint: 1, float: 1.5, double: 1.5, real: 1.5, decimal: 1.5,
  timestamp: "2026-11-30T08:00:00Z", date: "2026-11-30", binary: "aGVsbG8=",
};

function example(type) {
  const name = /^\w+/.exec(type)?.[0] ?? "";
  if (name === "array") return [];
  if (name === "map" || name === "struct") return {};
  return EXAMPLES[name] ?? null;
}

export function snippets({ table, columns, newest_hour: hour, partition_keys: keys }, isStream, origin) {
  const event = Object.fromEntries(columns.slice(0, 6).map(({ name, type }) => [name, example(type)]));
  const json = JSON.stringify(event);
  const sql = `select count(*) as events from ${table}${hour && keys.length ? ` where inserted_at >= '${hour}'` : ""}`;
  const python = JSON.stringify(event).replaceAll(":true", ":True").replaceAll(":null", ":None").replaceAll('":', '": ').replaceAll(',"', ', "');
  const asking = [
    { title: "Ask with curl", text: `curl -s ${origin}/v1/query -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify({ sql, format: "json" }).replaceAll("'", "'\\''")}'` },
    { title: "Ask with Python", text: `from datawarehouse import connect\n\nwith connect("${origin}") as warehouse:\n    for row in warehouse.rows("${sql}"):\n        print(row)  # .query(...).df() is a data frame of pandas` },
    { title: "SQL", text: `${sql.replace(" from", "\nfrom").replace(" where", "\nwhere")}` },
  ];
  if (!isStream) return asking;
  return [
    { title: "Send with curl", text: `curl -s ${origin}/v1/tables/${table}/events \\\n  -H 'Content-Type: application/x-ndjson' \\\n  --data-binary '${json.replaceAll("'", "'\\''")}'` },
    { title: "Send with boto3", text: `import json\nimport boto3\n\nkinesis = boto3.client("kinesis", endpoint_url="${origin}", region_name="us-east-1",\n                       aws_access_key_id="any", aws_secret_access_key="any")\nevent = ${python}\nkinesis.put_record(StreamName="${table}", Data=json.dumps(event).encode(), PartitionKey="1")` },
    { title: "Send with Python", text: `from datawarehouse import connect\n\nwith connect("${origin}") as warehouse:\n    warehouse.put("${table}", [${python}])` },
    { title: "Send with Python alone", text: `import json\nfrom urllib.request import Request, urlopen\n\nevents = [${python}]\nbody = "\\n".join(map(json.dumps, events)).encode()\nheaders = {"Content-Type": "application/x-ndjson"}\nprint(urlopen(Request("${origin}/v1/tables/${table}/events", body, headers)).read().decode())` },
    ...asking,
  ];
}
