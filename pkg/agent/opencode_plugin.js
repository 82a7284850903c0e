// gatekeeper: tells which tool and model wrote what, and asks before a tool of
// an MCP server is called. Written by `gatekeeper install`, which also removes it.
//
// OpenCode starts no programs for its events, so this starts one for each that
// matters, with the event as JSON on its standard input:
//
//   {"gatekeeper":"opencode/1","hook":NAME,"session":ID,"parent":ID,"root":ID,"version":V,
//    "directory":DIR,"model":{"providerID":P,"modelID":M},"input":{},"output":{}}
//
// A sub-agent has a session of its own; parent is the one above it, root the
// person's. A call that fails has no tool.execute.after.
//
// input and output are the arguments of OpenCode's hook of that name, without
// what tools print. Exit code 2 says no, and standard error why. Recording that
// fails stops nothing; a question about an MCP server that fails is a no.

import { spawn } from "node:child_process"

const program = "@GATEKEEPER_AGENT@"
const patience = 10_000 // milliseconds
const edits = ["write", "edit", "apply_patch", "patch"]
const harmless = ["read", "grep", "glob", "list", "webfetch", "websearch", "codesearch", "todowrite", "todoread", "task", "skill", "question", "invalid"]

const tell = (event) =>
  new Promise((resolve) => {
    let why = ""
    const child = spawn(program, ["opencode"], { stdio: ["pipe", "ignore", "pipe"] })
    const timer = setTimeout(() => child.kill("SIGKILL"), patience)
    const done = (code) => {
      clearTimeout(timer)
      resolve({ code, why: why.trim() })
    }
    child.stderr.on("data", (data) => (why = (why + data).slice(0, 4096)))
    child.stdin.on("error", () => {}) // it may answer before it has read everything
    child.on("error", (error) => done(error.code === "ENOENT" ? 0 : -1))
    child.on("close", (code) => done(code ?? -1))
    child.stdin.end(JSON.stringify({ gatekeeper: "opencode/1", ...event }))
  })

export const Gatekeeper = async ({ directory }) => {
  const models = new Map() // by session
  const parents = new Map()
  let version

  const root = (session) => (parents.has(session) ? root(parents.get(session)) : session)
  const event = (hook, session, more) => ({
    hook, session, parent: parents.get(session), root: root(session), version, directory, model: models.get(session), ...more,
  })

  return {
    event: async ({ event: { type, properties } }) => {
      if (type === "session.created") {
        version = properties.info.version
        if (properties.info.parentID) parents.set(properties.sessionID, properties.info.parentID)
      }
      if (type === "session.created" || type === "session.idle") await tell(event(type, properties.sessionID))
    },

    "chat.message": async ({ sessionID, model }, { message }) => {
      models.set(sessionID, model ?? message.model)
      await tell(event("chat.message", sessionID))
    },

    // Helpers that name a session or sum it up have models of their own.
    "chat.params": async ({ sessionID, agent, model, message }) => {
      if (agent === message.agent) models.set(sessionID, { providerID: model.providerID, modelID: model.id })
    },

    "tool.execute.before": async (input, { args }) => {
      if (harmless.includes(input.tool)) return
      const output = edits.includes(input.tool) ? { args } : {}
      const { code, why } = await tell(event("tool.execute.before", input.sessionID, { input, output }))
      const asked = input.tool.includes("_") && !edits.includes(input.tool)
      if (code === 2 || (code !== 0 && asked)) throw new Error(why || "gatekeeper: could not decide about " + input.tool)
    },

    "tool.execute.after": async ({ tool, sessionID, callID, args }, { metadata }) => {
      if (harmless.includes(tool)) return
      const input = edits.includes(tool) ? { tool, sessionID, callID, args } : { tool, sessionID, callID }
      const { exists, filepath, filediff } = metadata ?? {}
      const output = { metadata: { exists, filepath, filediff: { file: filediff?.file } } }
      await tell(event("tool.execute.after", sessionID, { input, output }))
    },

    "shell.env": async ({ sessionID, callID }, { env }) => {
      if (!sessionID || !callID) return // a person's own terminal
      env.GATEKEEPER_OPENCODE_SESSION = root(sessionID)
      const model = models.get(sessionID)
      if (model) env.GATEKEEPER_OPENCODE_MODEL = model.providerID + "/" + model.modelID
    },
  }
}
