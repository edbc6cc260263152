//! How a job looks while it runs: a bar for whoever watches, lines for everybody else.

use std::time::Duration;

use console::style;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli::terminal::Terminal;
use crate::cli::watch::Event;

/// How often the bar moves although nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// A job as it is shown.
pub(super) struct Progress<'a> {
    terminal: &'a Terminal,
    meter: Option<ProgressBar>,
    percent: u64,
    step: String,
}

impl<'a> Progress<'a> {
    /// Nothing happened yet.
    pub(super) fn new(terminal: &'a Terminal) -> Self {
        let meter = terminal.is_watched().then(new_bar);
        Self { terminal, meter, percent: 0, step: String::new() }
    }

    /// Shows what happened.
    pub(super) fn show(&mut self, event: &Event) {
        let text = |name: &str| event.content.get(name).and_then(Value::as_str).unwrap_or_default();
        match event.name.as_str() {
            "progress" => self.percent(event.content.get("progress").and_then(Value::as_u64)),
            "step" => self.step(text("step")),
            // For the plugin's author, who reads the log.
            "log" if text("level") == "debug" => {}
            "log" => self.line(&format!("       {:5} {}", text("level"), text("message"))),
            "status" => self.status(&event.content),
            _ => {}
        }
    }

    /// Says that the host does not answer, and is waited for.
    pub(super) fn waits(&self) {
        self.line("       the host does not answer; waiting for it to be there again");
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Some(meter) = &self.meter {
            meter.finish_and_clear();
        }
    }

    fn percent(&mut self, percent: Option<u64>) {
        self.percent = percent.unwrap_or(self.percent);
        if let Some(meter) = &self.meter {
            meter.set_position(self.percent);
        }
    }

    fn step(&mut self, step: &str) {
        self.step_done();
        step.clone_into(&mut self.step);
        match &self.meter {
            Some(meter) => meter.set_message(step.to_owned()),
            None => self.line(&format!("{:4} % {step}", self.percent)),
        }
    }

    fn status(&mut self, content: &Value) {
        let text = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default();
        match (text("status"), content.get("attempt").and_then(Value::as_u64)) {
            ("running", Some(attempt)) if attempt > 1 => {
                self.line(&format!("       the job goes on (attempt {attempt})"));
            }
            ("completed", _) if self.meter.is_some() => self.step_done(),
            ("completed", _) => self.line(" 100 % completed"),
            ("", _) => self.line("       somebody wants the job to stop"),
            _ => {}
        }
    }

    /// On a terminal, where the bar only shows the step that runs.
    fn step_done(&self) {
        if self.meter.is_some() && !self.step.is_empty() {
            let done = style("\u{2713}").green().for_stderr();
            self.line(&format!("   {done}   {}", self.step));
        }
    }

    fn line(&self, line: &str) {
        match &self.meter {
            Some(meter) => meter.println(line),
            None => self.terminal.say(line),
        }
    }
}

fn new_bar() -> ProgressBar {
    let meter = ProgressBar::new(100);
    let style =
        ProgressStyle::with_template("{spinner} {bar:32.cyan} {pos:>3} %  {elapsed}  {msg}");
    meter.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    meter.enable_steady_tick(TICK);
    meter
}
