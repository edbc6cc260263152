//! The `ssh` interface.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bindings::windlass::plugin::ssh::{ExecOptions, Host, Output};
use bindings::windlass::plugin::types::Failure;
use wasmtime::Result as Trap;

use crate::capabilities::{Capabilities, invalid, parsed};
use crate::effects::ssh::{Download, Exec, JobLog, Upload, WaitReady};

/// How long a command may run that asks for no limit.
const USUAL_TIMEOUT: Duration = Duration::from_secs(600);

impl Host for Capabilities {
    async fn exec(
        &mut self,
        server: String,
        command: String,
        options: ExecOptions,
    ) -> Trap<Result<Output, Failure>> {
        let timeout = match options.timeout_ms {
            0 => USUAL_TIMEOUT,
            milliseconds => Duration::from_millis(milliseconds),
        };
        let more = options.more.into_iter();
        let quiet_prefix = more.rev().find(|(name, _)| name == "quiet-prefix").map(|(_, it)| it);
        let log = || Arc::new(JobLog { job: Arc::clone(&self.job), quiet_prefix });
        let effect = Exec {
            server: parsed!(&server),
            command,
            stdin: options.stdin,
            timeout,
            lines: options.log_output.then(log),
        };
        Ok(self.perform(effect).await?.map(|output| Output {
            exit_code: output.exit_code,
            stdout: output.stdout,
            stderr: output.stderr,
            truncated: output.truncated,
            duration_ms: output.duration_ms,
        }))
    }

    async fn upload(
        &mut self,
        server: String,
        path: String,
        content: Vec<u8>,
        mode: u32,
    ) -> Trap<Result<(), Failure>> {
        if mode > 0o7777 {
            return Ok(Err(invalid("the mode is more than permission bits (0o7777)")));
        }
        self.perform(Upload { server: parsed!(&server), path, content, mode }).await
    }

    async fn download(&mut self, server: String, path: String) -> Trap<Result<Vec<u8>, Failure>> {
        let text = self.perform(Download { server: parsed!(&server), path }).await?;
        Ok(text.and_then(|text| {
            BASE64_STANDARD.decode(text).map_err(|e| invalid(&format!("the journal: {e}")))
        }))
    }

    async fn wait_ready(&mut self, server: String, timeout_ms: u64) -> Trap<Result<(), Failure>> {
        let timeout = Duration::from_millis(timeout_ms);
        self.perform(WaitReady { server: parsed!(&server), timeout }).await
    }
}
