//! The limits of plugins, from `WINDLASS_LIMIT_…`. A name that is none is refused: whoever lowers a
//! limit counts on it.

use crate::config::ConfigError;
use crate::model::limits::{Limits, PREFIX};

/// How alike two names have to be for one to be meant by the other, from 0 to 1.
const ALIKE: f64 = 0.8;

/// The limits as these variables have them.
pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    for limit in Limits::ALL {
        let Some(value) = variable(limit.setting) else { continue };
        let number = value.parse().ok();
        let set = number.and_then(|number| limits.set(limit, number).ok());
        set.ok_or(ConfigError::Limit { limit, value })?;
    }
    Ok(limits)
}

/// Sees that each of these names that begins like a limit's is one.
pub(super) fn check_names(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        if Limits::named(&name).is_none() {
            return Err(ConfigError::NoSuchLimit { meant: meant(&name), name });
        }
    }
    Ok(())
}

/// The limit whose name is nearest, if one is near.
fn meant(name: &str) -> Option<&'static str> {
    let likeness = |setting: &str| strsim::jaro_winkler(tail(name), tail(setting));
    let all = Limits::ALL.iter().map(|limit| (limit.setting, likeness(limit.setting)));
    let nearest = all.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (nearest.1 >= ALIKE).then_some(nearest.0)
}

fn tail(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> Result<Limits, String> {
        read(|asked| (asked == name).then(|| value.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_that_cannot_be_is_refused_with_what_it_may_be() {
        assert_eq!(said("WINDLASS_LIMIT_MEMORY_MIB", "64").unwrap().memory, 64 << 20);
        for value in ["0", "5000", "-1", "64M", "1e3", " 64"] {
            let said = said("WINDLASS_LIMIT_MEMORY_MIB", value).unwrap_err();
            let expected = format!(
                "`{value}` is no value for WINDLASS_LIMIT_MEMORY_MIB: use a whole number of MiB \
                 from 16 to 4096, 256 unless set (memory of a run, all its linear memories together)"
            );
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn a_limit_that_there_is_not_is_refused_with_the_one_that_is_meant() {
        let names = |name: &str| check_names([name.to_owned(), "PATH".to_owned()].into_iter());
        assert!(names("WINDLASS_LIMIT_CALLS").is_ok() && names("WINDLASS_LIMITLESS").is_ok());
        let said = names("WINDLASS_LIMIT_MEMORY").unwrap_err().to_string();
        assert!(said.contains("did you mean WINDLASS_LIMIT_MEMORY_MIB?"), "{said}");
        let said = names("WINDLASS_LIMIT_X").unwrap_err().to_string();
        assert!(!said.contains("mean") && said.contains("windlass serve --help"), "{said}");
    }
}
