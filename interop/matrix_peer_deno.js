// quinn, as Deno has it: files by hq-interop, which is "GET /NAME" on a stream and the file back.
//   deno run matrix_peer_deno.js serve '{"host":...,"port":...,"cert":...,"key":...,"docs":...,"preferred":...,"early":...}'
//   deno run matrix_peer_deno.js ask '{"host":...,"port":...,"ca":...,"names":[[...],...],"down":...,"early":...}'
const [verb, json] = Deno.args;
const o = JSON.parse(json);
const alpnProtocols = ["hq-interop"];
const text = new TextDecoder(), bytes = new TextEncoder();

async function all(readable) {
  return new Uint8Array(await new Response(readable).arrayBuffer());
}

async function answer(stream) {
  const name = text.decode(await all(stream.readable)).trim().split("/").pop();
  const writer = stream.writable.getWriter();
  await writer.write(await Deno.readFile(`${o.docs}/${name}`));
  await writer.close();
}

async function serve() {
  const endpoint = new Deno.QuicEndpoint({ hostname: o.host, port: o.port });
  const listener = endpoint.listen({
    cert: await Deno.readTextFile(o.cert), key: await Deno.readTextFile(o.key), alpnProtocols,
    ...(o.preferred && { preferredAddressV4: o.preferred }),
  });
  for (;;) {
    const incoming = await listener.incoming();
    (async () => {
      const conn = await incoming.accept({ zeroRtt: o.early, ...(o.preferred && { preferredAddressV4: o.preferred }) });
      for await (const stream of conn.incomingBidirectionalStreams) {
        answer(stream).catch((e) => console.error("stream:", e.message));
      }
    })().catch((e) => console.error("connection:", e.message));
  }
}

async function fetchFile(conn, name) {
  const stream = await conn.createBidirectionalStream({ waitUntilAvailable: true });
  const writer = stream.writable.getWriter();
  await writer.write(bytes.encode(`GET /${name}\r\n`));
  const [content] = await Promise.all([all(stream.readable), writer.close()]);
  await Deno.writeFile(`${o.down}/${name}`, content);
}

async function ask() {
  const ca = await Deno.readTextFile(o.ca);
  const endpoint = new Deno.QuicEndpoint({ hostname: o.host.includes(":") ? "::1" : "127.0.0.1", port: 0 });
  for (const names of o.names) {
    const conn = await Deno.connectQuic({
      hostname: o.host, port: o.port, serverName: "localhost", alpnProtocols, caCerts: [ca], endpoint,
      ...(o.keepAlive && { keepAliveInterval: o.keepAlive }), ...(o.early && { zeroRtt: true }),
    });
    await Promise.all(names.map((name) => fetchFile(conn, name)));
    if (o.names.length > 1) await new Promise((r) => setTimeout(r, 50)); // for a ticket to come
    conn.close({ closeCode: 0, reason: "" });
    await conn.closed;
  }
  endpoint.close();
}

await (verb === "serve" ? serve() : ask());
Deno.exit(0);
