//! A plugin that orders something at a web server: a request of which its host knows nothing. It
//! stands in the place of the one that sets servers up, and has no descriptor: tests give it theirs.

use serde_json::{Value, json};

wit_bindgen::generate!({ path: "../../../wit", world: "operation" });

use windlass::plugin::{http, job};

struct Component;

impl Guest for Component {
    fn run(params: String) -> Result<String, Failure> {
        let params: Value = serde_json::from_str(&params).unwrap_or_default();
        let server = params["name"].as_str().unwrap_or_default();
        let is_safe = params["network_name"] == "twice-does-no-harm";
        job::step("Order");
        let (asked, answer) = match http::send(&request("POST", server, is_safe)) {
            // Somebody said that it happened, so the order is there.
            Err(failure) if failure.code == "answer_lost" => {
                ("GET", http::send(&request("GET", server, false))?)
            }
            ordered => ("POST", ordered?),
        };
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        Ok(json!({ "asked": asked, "status": answer.status, "told": told }).to_string())
    }
}

fn request(method: &str, server: &str, is_safe: bool) -> http::Request {
    let mut options = vec![("via-server".to_owned(), server.to_owned())];
    options.extend(is_safe.then(|| ("repeat-safe".to_owned(), "true".to_owned())));
    http::Request {
        method: method.to_owned(),
        url: "http://orders.example.org/orders".to_owned(),
        headers: Vec::new(),
        body: (method == "POST").then(|| b"one of these".to_vec()),
        timeout_ms: 60_000,
        options,
    }
}

export!(Component);
