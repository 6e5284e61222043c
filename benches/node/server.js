// The peer: the part of the contract that the load generator uses, as a careful Node developer would write it. SQLite in WAL mode with
// synchronous=FULL, so that what was acknowledged survives a power cut here too; what arrives in one turn of the event loop is
// committed together, because one sync for each message would be unfairly slow.
//
//   node server.js --data-dir DIR --jwt-secret SECRET

import { createServer } from "node:http";
import { mkdirSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import Database from "better-sqlite3";
import express from "express";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";

const { values: flags } = parseArgs({
  options: { "data-dir": { type: "string" }, "jwt-secret": { type: "string" } },
});
const secret = flags["jwt-secret"];
mkdirSync(flags["data-dir"], { recursive: true });
const db = new Database(join(flags["data-dir"], "chat.sqlite"));
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec(`
  CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE chats (id TEXT PRIMARY KEY, a TEXT NOT NULL, b TEXT NOT NULL, lastSeq INTEGER NOT NULL, activity INTEGER NOT NULL,
    createdAt TEXT NOT NULL, updatedAt TEXT NOT NULL, UNIQUE (a, b)) WITHOUT ROWID;
  CREATE TABLE members (user TEXT NOT NULL, chat TEXT NOT NULL, activity INTEGER NOT NULL, unread INTEGER NOT NULL,
    PRIMARY KEY (user, chat)) WITHOUT ROWID;
  CREATE INDEX by_activity ON members (user, activity DESC);
  CREATE TABLE messages (chat TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, sender TEXT NOT NULL, content TEXT NOT NULL,
    clientId TEXT, createdAt TEXT NOT NULL, PRIMARY KEY (chat, seq)) WITHOUT ROWID;
  CREATE UNIQUE INDEX by_id ON messages (id);
  CREATE UNIQUE INDEX by_client_id ON messages (chat, sender, clientId) WHERE clientId IS NOT NULL;
`);

const sql = Object.fromEntries(
  Object.entries({
    putUser: "INSERT INTO users VALUES (?, ?) ON CONFLICT DO UPDATE SET name = excluded.name",
    user: "SELECT * FROM users WHERE id = ?",
    between: "SELECT * FROM chats WHERE a = ? AND b = ?",
    chat: "SELECT * FROM chats WHERE id = ?",
    putChat: "INSERT INTO chats VALUES (?, ?, ?, 0, ?, ?, ?)",
    putMember: "INSERT INTO members VALUES (?, ?, ?, 0)",
    touchChat: "UPDATE chats SET lastSeq = ?, activity = ?, updatedAt = ? WHERE id = ?",
    touchMember: "UPDATE members SET activity = ?, unread = unread + ? WHERE user = ? AND chat = ?",
    member: "SELECT * FROM members WHERE user = ? AND chat = ?",
    lists: "SELECT chat FROM members WHERE user = ? ORDER BY activity DESC LIMIT ? OFFSET ?",
    countChats: "SELECT count(*) AS n, total(unread) AS unread FROM members WHERE user = ?",
    putMessage: "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
    message: "SELECT * FROM messages WHERE chat = ? AND seq = ?",
    byClientId: "SELECT * FROM messages WHERE chat = ? AND sender = ? AND clientId = ?",
    page: "SELECT * FROM messages WHERE chat = ? AND seq > ? AND seq <= ? ORDER BY seq",
  }).map(([name, text]) => [name, db.prepare(text)]),
);

let activity = 0;
const newId = () => randomBytes(12).toString("hex");
const known = new Map();

function userOf(token) {
  const { id, name } = jwt.verify(token, secret, { algorithms: ["HS256"] });
  if (known.get(id) !== name) {
    sql.putUser.run(id, name ?? id);
    known.set(id, name);
  }
  return id;
}

function messageView(row) {
  const sender = sql.user.get(row.sender);
  return {
    _id: row.id,
    chat: row.chat,
    sender: { _id: sender.id, name: sender.name },
    messageType: "text",
    content: row.content,
    mediaUrl: null,
    readBy: [],
    status: "sent",
    parentMessage: null,
    reactions: [],
    isEdited: false,
    isDeleted: false,
    clientMessageId: row.clientId ?? undefined,
    seq: row.seq,
    createdAt: row.createdAt,
    updatedAt: row.createdAt,
  };
}

function chatView(chat) {
  const people = [chat.a, chat.b];
  const last = chat.lastSeq > 0 ? sql.message.get(chat.id, chat.lastSeq) : null;
  return {
    _id: chat.id,
    participants: people.map((id) => {
      const user = sql.user.get(id);
      return { _id: id, name: user.name, isOnline: io.sockets.adapter.rooms.has(`user:${id}`) };
    }),
    petListing: null,
    chatType: "general",
    lastMessage: last && messageView(last),
    lastMessageTime: chat.updatedAt,
    isActive: true,
    blockedBy: [],
    unreadCount: people.map((id) => ({ userId: id, count: sql.member.get(id, chat.id).unread })),
    createdAt: chat.createdAt,
    updatedAt: chat.updatedAt,
  };
}

// --- Writing: everything that came in one turn of the event loop is one transaction, and is answered after it.
let waiting = [];
const commit = db.transaction((jobs) => {
  for (const job of jobs) job.result = store(job);
});

function send(user, input) {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) setImmediate(flush);
    waiting.push({ user, input, resolve, reject });
  });
}

function flush() {
  const jobs = waiting;
  waiting = [];
  try {
    commit(jobs);
  } catch (error) {
    jobs.forEach((job) => job.reject(error));
    return;
  }
  for (const { result, resolve } of jobs) {
    if (result.fresh) {
      for (const { user, total, count } of result.people) {
        io.to(`user:${user}`).emit("newMessage", result.message);
        if (count !== undefined) {
          io.to(`user:${user}`).emit("unreadCount", { chatId: result.message.chat, count, total });
        }
      }
    }
    resolve(result);
  }
}

function store({ user, input }) {
  const chat = sql.chat.get(input.chatId);
  if (!chat || (chat.a !== user && chat.b !== user)) return { refused: "access_denied" };
  const content = input.content;
  if (typeof content !== "string" || content.trim() === "" || content.length > 1000) return { refused: "content_empty" };
  const clientId = input.clientMessageId ?? null;
  const earlier = clientId && sql.byClientId.get(chat.id, user, clientId);
  if (earlier) return { message: messageView(earlier) };
  const seq = chat.lastSeq + 1;
  const now = new Date().toISOString();
  const row = { chat: chat.id, seq, id: newId(), sender: user, content, clientId, createdAt: now };
  sql.putMessage.run(row.chat, row.seq, row.id, row.sender, row.content, row.clientId, row.createdAt);
  activity += 1;
  sql.touchChat.run(seq, activity, now, chat.id);
  const people = [chat.a, chat.b].map((person) => {
    sql.touchMember.run(activity, person === user ? 0 : 1, person, chat.id);
    if (person === user) return { user: person };
    return { user: person, count: sql.member.get(person, chat.id).unread, total: sql.countChats.get(person).unread };
  });
  return { fresh: true, message: messageView(row), people };
}

// --- REST.
const app = express();
app.disable("x-powered-by");
app.set("etag", false);
app.use(express.json({ limit: "256kb" }));
app.use((request, response, next) => {
  try {
    request.user = userOf(request.headers.authorization?.slice(7));
    next();
  } catch {
    response.status(401).json({ success: false, message: "Invalid token.", data: null, error: "token_invalid" });
  }
});
const answer = (response, status, message, data) => response.status(status).json({ success: true, message, data });

app.get("/api/chat/unread-count", (request, response) => {
  answer(response, 200, "ok", { unreadCount: sql.countChats.get(request.user).unread });
});
app.post("/api/chat/create", (request, response) => {
  const [a, b] = [request.user, request.body.participantId].sort();
  let chat = sql.between.get(a, b);
  if (!chat) {
    const now = new Date().toISOString();
    activity += 1;
    db.transaction(() => {
      const id = newId();
      sql.putChat.run(id, a, b, activity, now, now);
      sql.putMember.run(a, id, activity);
      sql.putMember.run(b, id, activity);
    })();
    chat = sql.between.get(a, b);
  }
  answer(response, 201, "Chat created successfully", chatView(chat));
});
app.get("/api/chat/my-chats", (request, response) => {
  const limit = Number(request.query.limit ?? 20);
  const page = Number(request.query.page ?? 1);
  const rows = sql.lists.all(request.user, limit, (page - 1) * limit);
  const total = sql.countChats.get(request.user).n;
  const pages = Math.ceil(total / limit);
  answer(response, 200, "Chats retrieved successfully", {
    chats: rows.map(({ chat }) => chatView(sql.chat.get(chat))),
    pagination: { currentPage: page, totalPages: pages, totalChats: total, hasMore: page < pages },
  });
});
app.get("/api/chat/:chat/messages", (request, response) => {
  const chat = sql.chat.get(request.params.chat);
  if (!chat || (chat.a !== request.user && chat.b !== request.user)) {
    response.status(403).json({ success: false, message: "Access denied", data: null, error: "access_denied" });
    return;
  }
  const limit = Number(request.query.limit ?? 50);
  const page = Number(request.query.page ?? 1);
  const last = chat.lastSeq - (page - 1) * limit;
  const pages = Math.ceil(chat.lastSeq / limit);
  answer(response, 200, "Messages retrieved successfully", {
    messages: sql.page.all(chat.id, last - limit, last).map(messageView),
    pagination: { currentPage: page, totalPages: pages, totalMessages: chat.lastSeq, hasMore: page < pages },
  });
});
app.post("/api/chat/:chat/send", async (request, response) => {
  const result = await send(request.user, { ...request.body, chatId: request.params.chat });
  if (result.refused) response.status(403).json({ success: false, message: "Refused", data: null, error: result.refused });
  else answer(response, 201, "Message sent successfully", result.message);
});

// --- Socket.IO.
const server = createServer(app);
const io = new Server(server, { transports: ["websocket", "polling"], perMessageDeflate: false, serveClient: false });
io.use((socket, next) => {
  try {
    socket.data.user = userOf(socket.handshake.auth.token);
    next();
  } catch {
    next(new Error("Authentication error"));
  }
});
io.on("connection", (socket) => {
  const { user } = socket.data;
  socket.join(`user:${user}`);
  socket.on("sendMessage", async (input, acknowledge) => {
    const result = await send(user, input ?? {});
    if (result.refused) socket.emit("error", { message: "Refused", error: result.refused, event: "sendMessage" });
    acknowledge?.({ success: !result.refused, data: result.message });
  });
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.error(`listening on http://127.0.0.1:${server.address().port}`);
});
process.on("SIGTERM", () => process.exit(0));
