// 1,000 echo calls on one connection, 64 at once, then one of 3 MB. Arguments: port, certificate file.
const [port, certificate] = Deno.args;
const connection = await Deno.connectQuic({
    hostname: "127.0.0.1", port: Number(port), serverName: "localhost", alpnProtocols: ["runtara"],
    caCerts: [Deno.readTextFileSync(certificate)],
});

async function call(request) {
    const stream = await connection.createBidirectionalStream({ waitUntilAvailable: true });
    const writer = stream.writable.getWriter();
    const sending = writer.write(request).then(() => writer.close());
    const reply = new Uint8Array(await new Response(stream.readable).arrayBuffer());
    await sending;
    if (reply.length !== request.length || reply.some((byte, i) => byte !== request[i])) throw new Error("not an echo");
}

let left = 1000;
await Promise.all(Array.from({ length: 64 }, async () => {
    while (left-- > 0) await call(crypto.getRandomValues(new Uint8Array(200)));
}));
await call(new Uint8Array(3_000_000).fill(5));
connection.close({ closeCode: 7, reason: "deno is done" });
await connection.closed.catch(() => {});
console.log("ok");
Deno.exit(0);
