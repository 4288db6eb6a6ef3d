// 1,000 health requests on one connection, 64 at once. Arguments: port, certificate file.
const [port, certificate] = Deno.args;
const request = new Uint8Array([0, 0, 0, 2, 0, 1, 0x0a, 0]);
const connection = await Deno.connectQuic({
    hostname: "127.0.0.1", port: Number(port), serverName: "localhost", alpnProtocols: ["runtara"],
    caCerts: [Deno.readTextFileSync(certificate)],
});

async function call() {
    const stream = await connection.createBidirectionalStream({ waitUntilAvailable: true });
    const writer = stream.writable.getWriter();
    const sending = writer.write(request).then(() => writer.close());
    const reply = new Uint8Array(await new Response(stream.readable).arrayBuffer());
    await sending;
    const length = new DataView(reply.buffer).getUint32(0);
    // A response (type 2) whose field 1, the health answer, begins with healthy = true (08 01).
    if (length !== reply.length - 6 || reply[4] !== 0 || reply[5] !== 2 || reply[6] !== 0x0a || reply[8] !== 8
        || reply[9] !== 1) throw new Error(`not a healthy answer: ${reply}`);
}

let left = 1000, answered = 0;
await Promise.all(Array.from({ length: 64 }, async () => {
    while (left-- > 0) {
        await call();
        answered++;
    }
}));
connection.close({ closeCode: 7, reason: "deno is done" });
await connection.closed.catch(() => {});
console.log(`${answered} answers`);
Deno.exit(0);
