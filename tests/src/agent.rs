//! An agent's client as bare as it gets: it speaks both revisions of MCP over HTTP, and shows all
//! that comes back.

use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::host_process::TestHost;

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(320);

/// A revision of the protocol, as it looks on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// 2025-11-25, without a session.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// A client of a host.
#[derive(Clone)]
pub struct Agent {
    url: String,
    token: String,
    wire: Wire,
    /// What it says it can do.
    capabilities: Value,
    /// Further headers.
    headers: Vec<(&'static str, String)>,
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// How long the first byte of the body took.
    pub first_byte: Duration,
    /// The messages, each with the time when it came.
    pub messages: Vec<(Duration, Value)>,
    /// The body of an answer that is no stream.
    pub body: String,
}

impl Agent {
    /// A modern one with the admin's token, which can do nothing special.
    pub fn of(host: &TestHost) -> Self {
        Self::at(host.url(), host.token())
    }

    /// The same of the host at this address, with this token.
    pub fn at(host: &str, token: String) -> Self {
        Self {
            url: format!("{host}/mcp"),
            token,
            wire: Wire::Modern,
            capabilities: json!({}),
            headers: Vec::new(),
            client: reqwest::Client::new(),
        }
    }

    /// The same on this wire.
    pub fn on(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// The same with this token.
    pub fn with_token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// The same, which can do this.
    pub fn able(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The same, which sends this header too.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// One that can show its user forms.
    pub fn with_forms(self) -> Self {
        self.able(json!({ "elicitation": { "form": {} } }))
    }

    /// One that polls tasks.
    pub fn with_tasks(self) -> Self {
        self.able(json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } }))
    }

    /// Asks, and reads the answer to its end.
    pub async fn ask(&self, method: &str, params: Value) -> Reply {
        let began = Instant::now();
        let response = self.send(&self.message(method, params)).await;
        Reply::read(response, began).await
    }

    /// Calls a tool and answers its result.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        let reply = self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.result()
    }

    /// Calls a tool that does it, and answers its structure.
    pub async fn does(&self, tool: &str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], false, "{tool}: {result:#}");
        result["structuredContent"].clone()
    }

    /// Calls a tool that does not do it, and answers what it says.
    pub async fn refuses(&self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{tool}: {result:#}");
        result["content"][0]["text"].as_str().expect("a refusal has words").to_owned()
    }

    /// A message that wants an answer.
    pub fn message(&self, method: &str, mut params: Value) -> Value {
        if self.wire == Wire::Modern {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "1" });
            meta["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
    }

    /// Sends a message with the headers that belong to it.
    pub async fn send(&self, message: &Value) -> Response {
        self.request(message).send().await.expect("the host answers")
    }

    /// A request that the test finishes itself.
    pub fn request(&self, message: &Value) -> reqwest::RequestBuilder {
        let method = message["method"].as_str().expect("a message has a method");
        let mut request = self
            .client
            .post(&self.url)
            .timeout(DEADLINE)
            .bearer_auth(&self.token)
            .header("Accept", "application/json, text/event-stream")
            .header("MCP-Protocol-Version", self.version());
        if self.wire == Wire::Modern {
            request = request.header("Mcp-Method", method);
            let params = &message["params"];
            let name = ["name", "uri", "taskId"].iter().find_map(|name| params[name].as_str());
            if let (Some(name), true) = (name, method.contains('/')) {
                request = request.header("Mcp-Name", name);
            }
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.json(message)
    }

    fn version(&self) -> &'static str {
        match self.wire {
            Wire::Legacy => "2025-11-25",
            Wire::Modern => "2026-07-28",
        }
    }
}

impl Reply {
    /// Reads an answer to its end.
    pub async fn read(response: Response, began: Instant) -> Self {
        let status = response.status().as_u16();
        let mut stream = Stream::new(response, began);
        let mut messages = Vec::new();
        while let Some(message) = stream.next().await {
            messages.push(message);
        }
        let first_byte = stream.first_byte.unwrap_or_default();
        Self { status, first_byte, messages, body: stream.whole }
    }

    /// The answer itself, which comes last.
    pub fn answer(&self) -> &Value {
        &self.messages.last().unwrap_or_else(|| panic!("no answer: {self:?}")).1
    }

    /// The result.
    pub fn result(&self) -> Value {
        let answer = self.answer();
        assert!(answer.get("error").is_none(), "{answer:#}");
        answer["result"].clone()
    }

    /// The code of the error, and what it says.
    pub fn error(&self) -> (i64, String) {
        let error = &self.answer()["error"];
        let code = error["code"].as_i64().unwrap_or_else(|| panic!("no error: {self:?}"));
        (code, error["message"].as_str().unwrap_or_default().to_owned())
    }

    /// The notifications of this kind, each with the time when it came.
    pub fn notifications(&self, method: &str) -> Vec<(Duration, Value)> {
        let of_method = self.messages.iter().filter(|(_, message)| message["method"] == method);
        of_method.map(|(at, message)| (*at, message["params"].clone())).collect()
    }
}

/// Messages as they come.
pub struct Stream {
    response: Response,
    began: Instant,
    is_events: bool,
    text: String,
    whole: String,
    first_byte: Option<Duration>,
    ended: bool,
}

impl Stream {
    /// The messages of this answer.
    pub fn new(response: Response, began: Instant) -> Self {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_events = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let (text, whole) = (String::new(), String::new());
        Self { response, began, is_events, text, whole, first_byte: None, ended: false }
    }

    /// How long the first byte took, once there was one.
    pub const fn first_byte(&self) -> Option<Duration> {
        self.first_byte
    }

    /// The next message, with the time when it came; none at the end.
    pub async fn next(&mut self) -> Option<(Duration, Value)> {
        loop {
            if self.is_events
                && let Some((event, rest)) = self.text.split_once("\n\n")
            {
                let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
                let message = serde_json::from_str(&lines.collect::<String>()).ok();
                self.text = rest.to_owned();
                match message {
                    Some(message) => return Some((self.began.elapsed(), message)),
                    None => continue,
                }
            }
            if self.ended {
                return None;
            }
            match self.response.chunk().await.ok().flatten() {
                Some(chunk) => {
                    self.first_byte.get_or_insert(self.began.elapsed());
                    let chunk = String::from_utf8_lossy(&chunk);
                    self.text.push_str(&chunk);
                    self.whole.push_str(&chunk);
                }
                None => {
                    self.ended = true;
                    let message = serde_json::from_str(&self.whole).ok();
                    return message.map(|message| (self.began.elapsed(), message));
                }
            }
        }
    }
}
