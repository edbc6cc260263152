//! Messages of agents, as far as passing them on needs to know them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Where a request of the newer revision says which one it is of.
const VERSION: &str = "/params/_meta/io.modelcontextprotocol~1protocolVersion";

/// A message of an agent.
pub(super) enum Message {
    /// It wants an answer.
    Request(Request),
    /// It does not want the answer to this one any more.
    Cancelled(Value),
    /// It wants none.
    Other,
}

/// A request of an agent.
pub(super) struct Request(Value);

impl Message {
    /// Reads a line, or says why it is none.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        let message: Value =
            serde_json::from_slice(line).map_err(|error| format!("This is no JSON: {error}."))?;
        if !message.is_object() {
            return Err("A message is one JSON object a line.".to_owned());
        }
        let method = message.get("method").and_then(Value::as_str);
        match (method, message.get("id")) {
            (Some(_), Some(_)) => Ok(Self::Request(Request(message))),
            (Some("notifications/cancelled"), None) => {
                let id = message.pointer("/params/requestId").cloned();
                Ok(Self::Cancelled(id.unwrap_or_default()))
            }
            _ => Ok(Self::Other),
        }
    }
}

impl Request {
    /// By what its answer is known.
    pub(super) fn id(&self) -> &Value {
        self.0.get("id").unwrap_or(&Value::Null)
    }

    /// What it asks for.
    pub(super) fn method(&self) -> &str {
        self.0.get("method").and_then(Value::as_str).unwrap_or_default()
    }

    /// The revision that it says to be of.
    pub(super) fn version(&self) -> Option<&str> {
        self.0.pointer(VERSION).and_then(Value::as_str)
    }

    /// What it is about, as the header that has to repeat it wants it.
    pub(super) fn name(&self) -> Option<String> {
        let pointer = match self.method() {
            "tools/call" | "prompts/get" => "/params/name",
            "resources/read" => "/params/uri",
            method if method.starts_with("tasks/") => "/params/taskId",
            _ => return None,
        };
        self.0.pointer(pointer).and_then(Value::as_str).map(in_header)
    }

    /// As it is sent.
    pub(super) fn body(&self) -> String {
        self.0.to_string()
    }

    /// Whether this message is its answer.
    pub(super) fn is_answered_by(&self, message: &Value) -> bool {
        message.get("method").is_none() && message.get("id") == Some(self.id())
    }

    /// What the agent is told when the host did not answer. To a tool's call it is a result, since
    /// a model sees results and no errors.
    pub(super) fn unanswered(&self, why: &str) -> Value {
        if self.method() != "tools/call" {
            return refused(self.id(), -32_603, why);
        }
        let mut result = json!({ "content": [{ "type": "text", "text": why }], "isError": true });
        if let (Some(_), Value::Object(result)) = (self.version(), &mut result) {
            result.insert("resultType".to_owned(), Value::from("complete"));
        }
        json!({ "jsonrpc": "2.0", "id": self.id(), "result": result })
    }
}

/// A refusal.
pub(super) fn refused(id: &Value, code: i64, why: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": why } })
}

/// A text as a header can hold it.
fn in_header(text: &str) -> String {
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if plain && text.trim() == text && !text.starts_with("=?base64?") {
        return text.to_owned();
    }
    format!("=?base64?{}?=", BASE64_STANDARD.encode(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_no_header_can_hold_is_encoded() {
        assert_eq!(in_header("criar-servidor"), "criar-servidor");
        assert_eq!(in_header("olá"), "=?base64?b2zDoQ==?=");
        assert_eq!(in_header(" a"), "=?base64?IGE=?=");
    }
}
