// quiche, as the npm package @currentspace/http3 has it.
//   node matrix_peer_quiche.mjs PACKAGE serve '{"host":...,"port":...,"cert":...,"key":...,"docs":...,"retry":...}'
//   node matrix_peer_quiche.mjs PACKAGE ask '{"host":...,"port":...,"ca":...,"names":[[...],...],"down":...,"early":...,"resume":...}'
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";

const [home, verb, json] = process.argv.slice(2);
const o = JSON.parse(json);
const { createSecureServer, connect } = await import(home);

function serve() {
  const server = createSecureServer({
    cert: readFileSync(o.cert), key: readFileSync(o.key), disableRetry: !o.retry, disableActiveMigration: false,
    initialMaxStreamsBidi: 1000,
  }, async (stream, headers) => {
    try {
      const content = await readFile(`${o.docs}/${String(headers[":path"]).split("/").pop()}`);
      stream.respond({ ":status": "200", "content-length": String(content.length) });
      stream.end(content);
    } catch (e) {
      console.error("stream:", e.message);
    }
  });
  server.on("error", (e) => console.error("server:", e.message));
  server.on("listening", () => console.log("listening"));
  server.listen(o.port, o.host);
}

// request waits for the session's socket, without which there is no 0-RTT, and for room among the streams.
async function request(session, name) {
  const host = o.host.includes(":") ? `[${o.host}]` : o.host;
  for (;;) {
    try {
      return session.request({
        ":method": "GET", ":path": `/${name}`, ":scheme": "https", ":authority": `${host}:${o.port}`,
      }, { endStream: true });
    } catch (e) {
      if (!/not connected|StreamLimit|StreamBlocked/i.test(e.message)) throw e;
      await new Promise((again) => setTimeout(again, 1));
    }
  }
}

async function fetchFile(session, name) {
  const stream = await request(session, name);
  const parts = [];
  await new Promise((resolve, reject) => {
    stream.on("data", (part) => parts.push(part));
    stream.on("error", reject);
    stream.on("end", resolve);
  });
  await writeFile(`${o.down}/${name}`, Buffer.concat(parts));
}

async function ask() {
  let ticket;
  for (const names of o.names) {
    const session = connect({ address: o.host, port: o.port, servername: "localhost" }, {
      ca: readFileSync(o.ca), ...(ticket && { sessionTicket: ticket, allow0RTT: o.early }),
    });
    session.on("error", (e) => console.error("session:", e.message));
    const next = new Promise((resolve) => session.on("sessionTicket", resolve));
    if (!(ticket && o.early)) await session.ready();
    await Promise.all(names.map((name) => fetchFile(session, name)));
    if (o.resume) ticket = await next;
    await session.close();
  }
}

if (verb === "serve") serve();
else {
  await ask();
  process.exit(0);
}
