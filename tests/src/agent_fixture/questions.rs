//! The fixture's tools that question the client in the middle of a call, as the older revision does:
//! that needs a session, by which the answer finds the call.

use rmcp::model::{CallToolRequestParams, ErrorData};
use rmcp::service::{RequestContext, RoleServer, ServiceError};
use serde_json::{Value, json};

use super::words::{from, said};

/// What a tool answers, if it is one of these.
pub(super) async fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<Value, ErrorData>> {
    let argument = |name: &str| request.arguments.as_ref().and_then(|it| it.get(name)).cloned();
    let (message, schema) = match &*request.name {
        "test_sampling" => return Some(sample(argument("prompt"), context).await),
        "test_elicitation" => (argument("message"), person()),
        "test_elicitation_sep1034_defaults" => (Some(json!("Please check")), with_defaults()),
        "test_elicitation_sep1330_enums" => (Some(json!("Please choose")), with_choices()),
        _ => return None,
    };
    Some(elicit(&message.unwrap_or_default(), &schema, context).await)
}

/// Nobody answers a question without a session: it is not put, or the call would wait for ever.
fn can_be_asked(context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    if context.client_capabilities().is_some() {
        return Ok(());
    }
    Err(ErrorData::invalid_params("without a session nobody can be asked", None))
}

async fn sample(
    prompt: Option<Value>,
    context: &RequestContext<RoleServer>,
) -> Result<Value, ErrorData> {
    can_be_asked(context)?;
    let content = json!({ "type": "text", "text": prompt });
    let asked = json!({ "messages": [{ "role": "user", "content": content }], "maxTokens": 100 });
    let answer = context.peer.create_message(from(asked)).await.map_err(unanswered)?;
    Ok(said(&format!("LLM response: {}", json!(answer))))
}

async fn elicit(
    message: &Value,
    schema: &Value,
    context: &RequestContext<RoleServer>,
) -> Result<Value, ErrorData> {
    can_be_asked(context)?;
    let asked = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    let answer = context.peer.create_elicitation(from(asked)).await.map_err(unanswered)?;
    Ok(said(&format!("User response: {}", json!(answer))))
}

/// A tool that cannot work without sampling.
pub(super) fn missing(context: &RequestContext<RoleServer>) -> Result<Value, ErrorData> {
    let can = context.client_capabilities().is_some_and(|it| it.sampling.is_some());
    if can {
        return Ok(said("sampling is there"));
    }
    Err(from(json!({ "code": -32021, "message": "this tool needs sampling",
        "data": { "requiredCapabilities": { "sampling": {} } } })))
}

fn unanswered(error: ServiceError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn person() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({ "type": "object", "required": ["username", "email"], "properties": {
        "username": text("User's response"), "email": text("User's email address") } })
}

fn with_defaults() -> Value {
    json!({ "type": "object", "properties": {
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"],
            "default": "active" },
        "verified": { "type": "boolean", "default": true } } })
}

fn with_choices() -> Value {
    let titled = |name: &str, title: &str| json!({ "const": name, "title": title });
    let three = [
        titled("value1", "First Option"),
        titled("value2", "Second Option"),
        titled("value3", "Third Option"),
    ];
    let options = ["option1", "option2", "option3"];
    json!({ "type": "object", "properties": {
        "untitledSingle": { "type": "string", "enum": options },
        "titledSingle": { "type": "string", "oneOf": three },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
        "titledMulti": { "type": "array", "items": { "anyOf": three } } } })
}
