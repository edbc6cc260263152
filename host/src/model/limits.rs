//! What a plugin may use up of the host. Each limit has a name, a value unless an operator says
//! otherwise, and bounds, all in one table.

use std::fmt;
use std::time::Duration;

/// What the names of the settings begin with.
pub const PREFIX: &str = "WINDLASS_LIMIT_";

/// One limit as an operator sets it.
#[derive(Debug)]
pub struct Limit {
    /// The setting, such as `WINDLASS_LIMIT_MEMORY_MIB`.
    pub setting: &'static str,
    /// What it limits.
    pub what: &'static str,
    /// What its numbers count.
    pub unit: Unit,
    /// The value unless told otherwise, in this unit.
    pub default: u64,
    /// The lowest value that it can have.
    pub least: u64,
    /// The highest.
    pub most: u64,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

/// What the number of a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1 048 576 bytes.
    Mib,
    /// 1 024 bytes.
    Kib,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Things.
    Count,
}

impl Unit {
    /// How it is written after a number; nothing for things.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mib => "MiB",
            Self::Kib => "KiB",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Count => "",
        }
    }

    const fn bytes(self) -> u64 {
        match self {
            Self::Mib => 1024 * 1024,
            Self::Kib => 1024,
            Self::Seconds | Self::Milliseconds | Self::Count => 1,
        }
    }
}

/// A type that a limit is used as.
trait Amount {
    fn of(number: u64, unit: Unit) -> Self;
    fn number(&self, unit: Unit) -> u64;
}

impl Amount for u64 {
    fn of(number: u64, unit: Unit) -> Self {
        number.saturating_mul(unit.bytes())
    }

    fn number(&self, unit: Unit) -> u64 {
        self / unit.bytes()
    }
}

impl Amount for u32 {
    fn of(number: u64, unit: Unit) -> Self {
        Self::try_from(u64::of(number, unit)).unwrap_or(Self::MAX)
    }

    fn number(&self, unit: Unit) -> u64 {
        u64::from(*self).number(unit)
    }
}

impl Amount for usize {
    fn of(number: u64, unit: Unit) -> Self {
        Self::try_from(u64::of(number, unit)).unwrap_or(Self::MAX)
    }

    fn number(&self, unit: Unit) -> u64 {
        u64::try_from(*self).unwrap_or(u64::MAX).number(unit)
    }
}

impl Amount for Duration {
    fn of(number: u64, unit: Unit) -> Self {
        if unit == Unit::Milliseconds { Self::from_millis(number) } else { Self::from_secs(number) }
    }

    fn number(&self, unit: Unit) -> u64 {
        let milliseconds = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        if unit == Unit::Milliseconds { milliseconds } else { self.as_secs() }
    }
}

/// Makes the settings and their table of one list.
macro_rules! limits {
    ($(
        #[doc = $what:literal]
        $field:ident: $amount:ty = $default:literal $unit:ident in $least:literal..$most:literal,
        $setting:literal;
    )+) => {
        /// What a run of a plugin, and what is sent to be one, may use up. Bytes where the setting is
        /// in KiB or MiB.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $what] pub $field: $amount,)+
        }

        impl Limits {
            /// All that can be set.
            pub const ALL: &[Limit] = &[$(Limit {
                setting: concat!("WINDLASS_LIMIT_", $setting),
                what: $what,
                unit: Unit::$unit,
                default: $default,
                least: $least,
                most: $most,
                get: |limits| limits.$field.number(Unit::$unit),
                set: |limits, number| limits.$field = Amount::of(number, Unit::$unit),
            },)+];
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: Amount::of($default, Unit::$unit),)+ }
            }
        }
    };
}

limits! {
    #[doc = "memory of a run, all its linear memories together"]
    memory: usize = 256 Mib in 16..4096, "MEMORY_MIB";
    #[doc = "its linear memories"]
    memories: usize = 8 Count in 1..100, "MEMORIES";
    #[doc = "memory of all runs together, beyond 16 MiB that each has for itself"]
    all_memory: usize = 1_024 Mib in 16..1_048_576, "ALL_MEMORY_MIB";
    #[doc = "its stack: how deep it may call itself"]
    stack: usize = 512 Kib in 128..8192, "STACK_KIB";
    #[doc = "its tables"]
    tables: usize = 64 Count in 1..1_000, "TABLES";
    #[doc = "entries of all its tables together"]
    table_entries: usize = 100_000 Count in 1_000..10_000_000, "TABLE_ENTRIES";
    #[doc = "instances of its modules"]
    instances: usize = 64 Count in 8..1_000, "INSTANCES";
    #[doc = "handles that it has open at once"]
    handles: usize = 4_096 Count in 16..1_000_000, "HANDLES";
    #[doc = "how long it computes before others get their turn"]
    turn: Duration = 10 Milliseconds in 1..1_000, "TURN_MILLISECONDS";
    #[doc = "computing between two calls of the host"]
    computing: Duration = 30 Seconds in 1..3_600, "COMPUTING_SECONDS";
    #[doc = "one run by the clock, whatever its descriptor says; then 30 s to clean up"]
    run: Duration = 86_400 Seconds in 1..604_800, "RUN_SECONDS";
    #[doc = "calls of the host in one run"]
    calls: u64 = 100_000 Count in 100..100_000_000, "CALLS";
    #[doc = "effects in one run, which are the calls that are journaled"]
    effects: u32 = 20_000 Count in 10..1_000_000, "EFFECTS";
    #[doc = "what it hands over in one call, its result too, and what a request or file answers"]
    call_bytes: usize = 8 Mib in 1..256, "CALL_MIB";
    #[doc = "its result"]
    result_bytes: usize = 8 Mib in 1..256, "RESULT_MIB";
    #[doc = "the journal of one run without its log"]
    journal_bytes: usize = 128 Mib in 1..4_096, "JOURNAL_MIB";
    #[doc = "lines of a job's log; the rest is dropped and counted"]
    log_lines: u64 = 10_000 Count in 10..10_000_000, "LOG_LINES";
    #[doc = "a job's log; the rest is dropped and counted"]
    log_bytes: usize = 16 Mib in 1..1_024, "LOG_MIB";
    #[doc = "a line of it; the rest is cut off"]
    log_line: usize = 16 Kib in 1..1_024, "LOG_LINE_KIB";
    #[doc = "a component that is sent, fetched or laid into the directory"]
    component_bytes: usize = 64 Mib in 1..512, "COMPONENT_MIB";
    #[doc = "processor time for compiling a component"]
    compile_time: Duration = 60 Seconds in 1..3_600, "COMPILE_SECONDS";
    #[doc = "memory for compiling a component"]
    compile_memory: u64 = 2_048 Mib in 512..65_536, "COMPILE_MEMORY_MIB";
}

/// A number that a limit cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

impl Limits {
    /// The limit that an operator sets by this name.
    pub fn named(setting: &str) -> Option<&'static Limit> {
        Self::ALL.iter().find(|limit| limit.setting == setting)
    }

    /// Sets a limit, in its unit.
    ///
    /// # Errors
    /// When it cannot be that; then nothing is changed.
    pub fn set(&mut self, limit: &Limit, number: u64) -> Result<(), OutOfBounds> {
        if !(limit.least..=limit.most).contains(&number) {
            return Err(OutOfBounds);
        }
        (limit.set)(self, number);
        Ok(())
    }

    /// A limit as it is, in its unit.
    pub fn get(&self, limit: &Limit) -> u64 {
        (limit.get)(self)
    }

    /// Those that are not as they would be if nobody had said anything, with what they are.
    pub fn changed(&self) -> impl Iterator<Item = (&'static Limit, u64)> {
        let all = Self::ALL.iter().map(|limit| (limit, self.get(limit)));
        all.filter(|(limit, number)| *number != limit.default)
    }
}

impl Limit {
    /// A number of its unit, as people read it.
    pub fn shown(&self, number: u64) -> String {
        format!("{number} {}", self.unit.as_str()).trim_end().to_owned()
    }
}

/// What it may be, as the end of a sentence.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, unit, default, least, most, .. } = self;
        let unit = match unit {
            Unit::Count => String::new(),
            Unit::Seconds => " of seconds".to_owned(),
            Unit::Milliseconds => " of milliseconds".to_owned(),
            Unit::Mib | Unit::Kib => format!(" of {}", unit.as_str()),
        };
        write!(f, "a whole number{unit} from {least} to {most}, {default} unless set ({what})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_set_and_read_in_its_unit_within_its_bounds() {
        for limit in Limits::ALL {
            assert!(limit.setting.starts_with(PREFIX));
            let mut limits = Limits::default();
            assert_eq!(limits.get(limit), limit.default, "{}", limit.setting);
            for number in [limit.least, limit.most] {
                assert_eq!(limits.set(limit, number), Ok(()));
                assert_eq!(limits.get(limit), number, "{}", limit.setting);
            }
            let kept = limits.clone();
            for number in [limit.least - 1, limit.most + 1, 0, u64::MAX] {
                assert_eq!(limits.set(limit, number), Err(OutOfBounds), "{}", limit.setting);
            }
            assert_eq!(limits, kept);
            let changed: Vec<&str> = limits.changed().map(|(limit, _)| limit.setting).collect();
            assert_eq!(changed, [limit.setting]);
        }
    }

    #[test]
    fn the_limits_are_those_of_the_specification() {
        let limits = Limits::default();
        assert_eq!(limits.memory, 256 * 1024 * 1024);
        assert_eq!(limits.computing, Duration::from_secs(30));
        assert_eq!(limits.calls, 100_000);
        assert_eq!((limits.call_bytes, limits.result_bytes), (8 << 20, 8 << 20));
    }

    #[test]
    fn the_readme_has_each_limit_as_it_is() {
        let readme = include_str!("../../README.md");
        let number = |number: u64| {
            let digits = number.to_string();
            let groups = digits.as_bytes().rchunks(3).rev();
            let groups = groups.map(|group| String::from_utf8_lossy(group).into_owned());
            groups.collect::<Vec<_>>().join(" ")
        };
        for limit in Limits::ALL {
            let Limit { setting, what, unit, default, least, most, .. } = limit;
            let row = format!(
                "| `{}` | {what} | {} | {} – {} |",
                setting.trim_start_matches(PREFIX),
                format!("{} {}", number(*default), unit.as_str()).trim_end(),
                number(*least),
                number(*most)
            );
            assert!(readme.contains(&row), "{row}");
        }
    }
}
