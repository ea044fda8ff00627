// A Socket.IO server as NetSapiens' cores have one, of the library that they are built with.
//
//   node server.js <port> <pingInterval> <pingTimeout>      both in milliseconds; port 0 is any
//
// It knows no PBX: what clients do goes to stdout, what is to be done comes from stdin, one JSON object a line.
"use strict";

const http = require("node:http");
const readline = require("node:readline");
const { Server } = require("socket.io");

const [port, pingInterval, pingTimeout] = process.argv.slice(2).map(Number);
const server = http.createServer();
const io = new Server(server, { transports: ["websocket"], allowEIO3: true, pingInterval, pingTimeout });
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

io.on("connection", (socket) => {
  say({ on: "connect", id: socket.id });
  socket.on("subscribe", (request) => say({ on: "subscribe", id: socket.id, request }));
  socket.on("disconnect", () => say({ on: "disconnect", id: socket.id }));
});

const commands = {
  emit: ({ id, event, data }) => io.sockets.sockets.get(id)?.emit(event, data),
  emitBinary: ({ id, event, data }) => io.sockets.sockets.get(id)?.emit(event, Buffer.from(data)),
  kick: ({ id }) => io.sockets.sockets.get(id)?.disconnect(true),
  drop: ({ id }) => io.sockets.sockets.get(id)?.conn.transport.socket.terminate(),
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.do](command);
}).on("close", () => process.exit(0));

server.listen(port, "127.0.0.1", () => say({ on: "listen", port: server.address().port }));
