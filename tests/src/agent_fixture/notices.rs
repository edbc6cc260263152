//! What the fixture's tools tell while they run.

use std::time::Duration;

use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::json;

/// How far it is.
pub(super) async fn progress(context: &RequestContext<RoleServer>) {
    for percent in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let told = ProgressNotificationParam::new(token, percent).with_total(100.0);
            context.peer.notify_progress(told).await.expect("the client listens");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Lines of its log.
pub(super) async fn log(context: &RequestContext<RoleServer>) {
    for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        let told = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line));
        context.peer.notify_logging_message(told).await.expect("the client listens");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
