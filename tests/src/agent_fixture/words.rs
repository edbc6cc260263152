//! What the fixture's tools, prompts and resources are called and say, as the suite's descriptions
//! have it.

use rmcp::model::{ErrorData, GetPromptRequestParams, Tool};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// One red pixel.
pub(super) const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dwn4EIwDiqEF8oAD1bAv\
                     9gfgzUAAAAAElFTkSuQmCC";
/// No samples at all.
pub(super) const SILENCE: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

/// A result that is the last word, on the wire that says so.
pub(super) fn whole<T: DeserializeOwned>(mut value: Value) -> T {
    value["resultType"] = json!("complete");
    from(value)
}

pub(super) fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the fixture's own words")
}

pub(super) fn said(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

pub(super) fn embedded(uri: &str, kind: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } })
}

pub(super) fn form(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { field: { "type": kind } },
        "required": [field] });
    json!({ "method": "elicitation/create",
        "params": { "mode": "form", "message": message, "requestedSchema": schema } })
}

pub(super) fn sampling(question: &str) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": question } });
    json!({ "method": "sampling/createMessage",
        "params": { "messages": [message], "maxTokens": 100 } })
}

pub(super) fn merged(parts: &[Value]) -> Value {
    let fields = parts.iter().filter_map(Value::as_object).flatten();
    Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Names of tools that take nothing.
const TOOLS: [&str; 34] = [
    "test_logging_tool",
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_error_handling",
    "test_tool_with_progress",
    "test_tool_with_logging",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
    "test_headers",
    "greet",
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
    "test_sampling",
    "test_elicitation",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "json_schema_2020_12_tool",
];

pub(super) fn tools() -> Vec<Tool> {
    let tool = |name: &str| {
        let schema = match name {
            "json_schema_2020_12_tool" => broad_schema(),
            "test_headers" => json!({ "type": "object", "required": ["region"], "properties": {
                "region": { "type": "string", "x-mcp-header": "Region" } } }),
            _ => json!({ "type": "object", "properties": {} }),
        };
        from(json!({ "name": name, "description": format!("{name} of the suite"),
            "inputSchema": schema }))
    };
    TOOLS.iter().map(|name| tool(name)).collect()
}

/// Every keyword that must come through unchanged.
pub(super) fn broad_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": { "$anchor": "addressDef", "type": "object", "properties": {
            "street": { "type": "string" }, "city": { "type": "string" } } } },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" }
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false
    })
}

pub(super) fn prompts() -> Value {
    let argument = |name: &str| json!({ "name": name, "required": true });
    let two = [argument("arg1"), argument("arg2")];
    let prompts: [(&str, &[Value]); 5] = [
        ("test_simple_prompt", &[]),
        ("test_prompt_with_arguments", &two),
        ("test_prompt_with_embedded_resource", &[argument("resourceUri")]),
        ("test_prompt_with_image", &[]),
        ("test_input_required_result_prompt", &[]),
    ];
    let about = |name: &str| format!("{name} of the suite");
    let listed = prompts.map(|(name, arguments)| {
        json!({ "name": name, "description": about(name), "arguments": arguments })
    });
    json!(listed)
}

pub(super) fn prompt(request: &GetPromptRequestParams) -> Result<Value, ErrorData> {
    let argument = |name: &str| {
        let found = request.arguments.as_ref().and_then(|it| it.get(name)?.as_str());
        found.map(str::to_owned).unwrap_or_default()
    };
    let user = |content: Value| json!({ "role": "user", "content": content });
    let text = |text: &str| user(json!({ "type": "text", "text": text }));
    let messages = match request.name.as_str() {
        "test_simple_prompt" => json!([text("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => json!([text(&format!(
            "Prompt with arguments: arg1='{}', arg2='{}'",
            argument("arg1"),
            argument("arg2")
        ))]),
        "test_prompt_with_embedded_resource" => json!([
            user(embedded(&argument("resourceUri"), "text/plain", "Embedded resource content.")),
            text("Please process the embedded resource above."),
        ]),
        "test_prompt_with_image" => json!([
            user(json!({ "type": "image", "data": PIXEL, "mimeType": "image/png" })),
            text("Please analyze the image above."),
        ]),
        "test_input_required_result_prompt" => json!([text("It was asked for.")]),
        other => return Err(unknown("prompt", other)),
    };
    Ok(json!({ "messages": messages }))
}

pub(super) fn resource(uri: &str) -> Option<Value> {
    let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let kind = |kind: &str| json!({ "uri": uri, "mimeType": kind });
    let mut found = kind("text/plain");
    match (uri, id) {
        ("test://static-text", _) => found["text"] = json!("The static text resource's content."),
        ("test://watched-resource", _) => found["text"] = json!("It never changes."),
        ("test://static-binary", _) => {
            found = kind("image/png");
            found["blob"] = json!(PIXEL);
        }
        (_, Some(id)) => {
            found = kind("application/json");
            found["text"] = json!(json!({ "id": id, "templateTest": true }).to_string());
        }
        _ => return None,
    }
    Some(found)
}

pub(super) fn unknown(what: &str, name: &str) -> ErrorData {
    ErrorData::invalid_params(format!("there is no {what} `{name}`"), None)
}
