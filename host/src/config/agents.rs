//! How agents are treated, from `WINDLASS_MCP_…`. A name that is none is refused, as a wrong value is:
//! whoever wants agents to look only counts on it.

use std::time::Duration;

use crate::config::ConfigError;

/// What every setting begins with.
const PREFIX: &str = "WINDLASS_MCP_";
/// The longest that one call of an agent waits: clients and proxies give up at 300 s.
const WAIT_CAP: Duration = Duration::from_secs(280);

/// How agents are treated, which come by MCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSettings {
    /// What is written to them: `WINDLASS_MCP_LANGUAGE`, `pt` or `en`.
    pub language: Language,
    /// What their tools are called: `WINDLASS_MCP_TOOL_NAMES`, `pt` or `en`.
    pub tool_names: Language,
    /// Whether they have the toolset `jobs` too: `WINDLASS_MCP_TOOLSETS`, `core` or `core,jobs`.
    pub jobs_tools: bool,
    /// What is a task for clients that poll tasks: `WINDLASS_MCP_TASKS`, `wait`, `all` or `off`.
    pub tasks: TaskMode,
    /// The longest that one call waits for a job: `WINDLASS_MCP_WAIT_CAP`, in seconds.
    pub wait_cap: Duration,
    /// Whether they may only look, whatever their tokens allow: `WINDLASS_MCP_READ_ONLY`, `1`.
    pub read_only: bool,
    /// Whether nothing is destroyed unless a person was asked: `WINDLASS_MCP_ASK_A_PERSON`, `1`.
    pub ask_a_person: bool,
}

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Portuguese, as the tools' names are.
    #[default]
    Portuguese,
    /// English.
    English,
}

/// What is a task for clients that poll tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskMode {
    /// Waiting for a job.
    #[default]
    Wait,
    /// That, and each job that an agent starts.
    All,
    /// Nothing.
    Off,
}

/// A setting that there is.
struct Setting {
    name: &'static str,
    what: &'static str,
    /// What it may be, as whoever sets it wrongly is told.
    wanted: &'static str,
    default: &'static str,
}

const fn setting(
    name: &'static str,
    what: &'static str,
    wanted: &'static str,
    default: &'static str,
) -> Setting {
    Setting { name, what, wanted, default }
}

const LANGUAGE: Setting =
    setting("WINDLASS_MCP_LANGUAGE", "the language of what agents read", "use pt or en", "pt");
const TOOL_NAMES: Setting =
    setting("WINDLASS_MCP_TOOL_NAMES", "the language of their tools' names", "use pt or en", "pt");
const TOOLSETS: Setting = setting(
    "WINDLASS_MCP_TOOLSETS",
    "their tools; jobs: cancel, retry and log of a job, server types",
    "use core or core,jobs",
    "core",
);
const TASKS: Setting = setting(
    "WINDLASS_MCP_TASKS",
    "what is a task for clients that poll tasks: waits, jobs too, nothing",
    "use wait, all or off",
    "wait",
);
const CAP: Setting = setting(
    "WINDLASS_MCP_WAIT_CAP",
    "how long one call waits for a job at most, in seconds",
    "use 1 to 280",
    "280",
);
const READ_ONLY: Setting = setting(
    "WINDLASS_MCP_READ_ONLY",
    "1: they may only look, whatever their tokens allow",
    "use 1 or 0",
    "0",
);
const ASK_A_PERSON: Setting = setting(
    "WINDLASS_MCP_ASK_A_PERSON",
    "1: nothing is destroyed unless a person typed its name into a form",
    "use 1 or 0",
    "0",
);

const ALL: [&Setting; 7] =
    [&LANGUAGE, &TOOL_NAMES, &TOOLSETS, &TASKS, &CAP, &READ_ONLY, &ASK_A_PERSON];

/// A line on each setting, for the help.
pub fn told() -> impl Iterator<Item = String> {
    let line = |setting: &Setting| {
        let &Setting { name, what, wanted, default } = setting;
        let values = wanted.trim_start_matches("use ");
        format!("{name}: {what} [{values}; default: {default}]")
    };
    ALL.into_iter().map(line)
}

/// The settings as these variables have them.
pub(super) fn read(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<AgentSettings, ConfigError> {
    let settings = AgentSettings::default();
    Ok(AgentSettings {
        language: one_of(&LANGUAGE, &variable, &LANGUAGES)?,
        tool_names: one_of(&TOOL_NAMES, &variable, &LANGUAGES)?,
        jobs_tools: toolsets(&variable)?,
        tasks: one_of(&TASKS, &variable, &TASK_MODES)?,
        wait_cap: wait_cap(&variable)?.unwrap_or(settings.wait_cap),
        read_only: one_of(&READ_ONLY, &variable, &SWITCH)?,
        ask_a_person: one_of(&ASK_A_PERSON, &variable, &SWITCH)?,
    })
}

/// Sees that each of these names that begins like a setting of agents is one.
pub(super) fn check_names(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        if ALL.iter().all(|setting| setting.name != name) {
            return Err(ConfigError::NoSuchSetting(name));
        }
    }
    Ok(())
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self {
            language: Language::default(),
            tool_names: Language::default(),
            jobs_tools: false,
            tasks: TaskMode::default(),
            wait_cap: WAIT_CAP,
            read_only: false,
            ask_a_person: false,
        }
    }
}

impl AgentSettings {
    /// The settings that are not as usual, as they would be set.
    pub fn changed(&self) -> impl Iterator<Item = String> {
        let values = [
            shown(self.language, &LANGUAGES),
            shown(self.tool_names, &LANGUAGES),
            if self.jobs_tools { "core,jobs" } else { "core" }.to_owned(),
            shown(self.tasks, &TASK_MODES),
            self.wait_cap.as_secs().to_string(),
            shown(self.read_only, &SWITCH),
            shown(self.ask_a_person, &SWITCH),
        ];
        let changed =
            ALL.into_iter().zip(values).filter(|(setting, value)| setting.default != value);
        changed.map(|(setting, value)| format!("{}={value}", setting.name))
    }
}

const LANGUAGES: [(&str, Language); 2] = [("pt", Language::Portuguese), ("en", Language::English)];
const TASK_MODES: [(&str, TaskMode); 3] =
    [("wait", TaskMode::Wait), ("all", TaskMode::All), ("off", TaskMode::Off)];
const SWITCH: [(&str, bool); 2] = [("0", false), ("1", true)];

/// The value that a variable names; the usual one when it is not set.
fn one_of<T: Copy>(
    setting: &'static Setting,
    variable: impl Fn(&str) -> Option<String>,
    named: &[(&str, T)],
) -> Result<T, ConfigError> {
    let value = variable(setting.name).unwrap_or_else(|| setting.default.to_owned());
    let found = named.iter().find(|(name, _)| *name == value);
    found.map(|(_, found)| *found).ok_or_else(|| refused(setting, value))
}

/// The name of a value.
fn shown<T: Copy + PartialEq>(value: T, named: &[(&str, T)]) -> String {
    let found = named.iter().find(|(_, it)| *it == value);
    found.map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// Whether there are the tools for jobs. The others are always there: these go with them.
fn toolsets(variable: impl Fn(&str) -> Option<String>) -> Result<bool, ConfigError> {
    let Some(value) = variable(TOOLSETS.name) else { return Ok(false) };
    let mut names: Vec<&str> = value.split(',').map(str::trim).collect();
    names.sort_unstable();
    match names.as_slice() {
        ["core"] => Ok(false),
        ["core", "jobs"] => Ok(true),
        _ => Err(refused(&TOOLSETS, value)),
    }
}

fn wait_cap(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Duration>, ConfigError> {
    let Some(value) = variable(CAP.name) else { return Ok(None) };
    let seconds = value.parse().ok().filter(|seconds| (1..=WAIT_CAP.as_secs()).contains(seconds));
    let cap = seconds.map(Duration::from_secs).ok_or_else(|| refused(&CAP, value))?;
    Ok(Some(cap))
}

fn refused(setting: &Setting, value: String) -> ConfigError {
    ConfigError::Variable { variable: setting.name, value, wanted: setting.wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> Result<AgentSettings, String> {
        read(|asked| (asked == name).then(|| value.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_set_is_as_usual() {
        let usual = read(|_| None).unwrap();
        assert_eq!((&usual, usual.changed().count()), (&AgentSettings::default(), 0));
        for setting in ALL {
            let set = said(setting.name, setting.default).unwrap();
            assert_eq!(set, usual, "{}", setting.name);
        }
    }

    #[test]
    fn what_is_changed_is_shown_as_it_was_set() {
        for (name, value) in [
            ("WINDLASS_MCP_LANGUAGE", "en"),
            ("WINDLASS_MCP_TOOL_NAMES", "en"),
            ("WINDLASS_MCP_TOOLSETS", "core,jobs"),
            ("WINDLASS_MCP_TASKS", "all"),
            ("WINDLASS_MCP_TASKS", "off"),
            ("WINDLASS_MCP_WAIT_CAP", "30"),
            ("WINDLASS_MCP_READ_ONLY", "1"),
            ("WINDLASS_MCP_ASK_A_PERSON", "1"),
        ] {
            let changed: Vec<String> = said(name, value).unwrap().changed().collect();
            assert_eq!(changed, [format!("{name}={value}")]);
        }
        assert!(said("WINDLASS_MCP_TOOLSETS", "jobs, core").unwrap().jobs_tools);
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_with_what_it_may_be() {
        for (name, value, wanted) in [
            ("WINDLASS_MCP_LANGUAGE", "de", "use pt or en"),
            ("WINDLASS_MCP_TOOL_NAMES", "EN", "use pt or en"),
            ("WINDLASS_MCP_TOOLSETS", "jobs", "use core or core,jobs"),
            ("WINDLASS_MCP_TOOLSETS", "core,jobs,jobs", "use core or core,jobs"),
            ("WINDLASS_MCP_TASKS", "on", "use wait, all or off"),
            ("WINDLASS_MCP_WAIT_CAP", "281", "use 1 to 280"),
            ("WINDLASS_MCP_READ_ONLY", "yes", "use 1 or 0"),
        ] {
            assert_eq!(
                said(name, value),
                Err(format!("`{value}` is no value for {name}: {wanted}"))
            );
        }
    }

    #[test]
    fn a_setting_that_there_is_not_is_refused() {
        let names = |name: &str| check_names([name.to_owned(), "PATH".to_owned()].into_iter());
        assert!(names("WINDLASS_MCP_TASKS").is_ok() && names("WINDLASS_MCPS").is_ok());
        let said = names("WINDLASS_MCP_READONLY").unwrap_err().to_string();
        assert!(said.contains("WINDLASS_MCP_READONLY") && said.contains("--help"), "{said}");
    }

    #[test]
    fn the_readme_has_each_setting_with_its_values() {
        let readme = include_str!("../../README.md");
        let (_, table) = readme.split_once("## How agents are treated").unwrap();
        for setting in ALL {
            let name = setting.name.trim_start_matches(PREFIX);
            let row =
                table.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
            assert!(row.ends_with(&format!("| `{}` |", setting.default)), "{row}");
            for value in
                setting.wanted.split(' ').filter(|word| !["use", "or", "to"].contains(word))
            {
                let value = value.trim_end_matches(',');
                assert!(value == "0" || row.contains(value), "{value}: {row}");
            }
        }
    }
}
