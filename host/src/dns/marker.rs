//! The mark in a record's comment: which host made the record, and in which effect of which job.

use crate::model::names::Identity;

/// A zone without a paid plan takes no longer comment, in characters.
const LONGEST: usize = 100;

/// Who a host is in the comments of its records: another host on the same zone is somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner(String);

impl Owner {
    /// The owner with this id, of eight characters or so.
    pub fn new(id: &str) -> Self {
        Self(format!("windlass/{id} "))
    }

    /// Whether a record with this comment is this host's.
    pub fn has_made(&self, comment: Option<&str>) -> bool {
        comment.is_some_and(|comment| comment.starts_with(&self.0))
    }
}

/// Who makes a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The host.
    pub owner: Owner,
    /// The effect.
    pub identity: Identity,
}

impl Marker {
    /// The comment of a record with this remark: `windlass/1a2b3c4d job_…-2 the remark`.
    pub fn comment(&self, note: &str) -> String {
        let text = format!("{}{} {note}", self.owner.0, self.identity);
        let printable: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        printable.trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_host_and_job_and_is_short_enough() {
        let owner = Owner::new("1a2b3c4d");
        let identity = Identity { job: "job_20261122_120000_a1b2c3".parse().unwrap(), effect: 2 };
        let marker = Marker { owner: owner.clone(), identity };
        let comment = marker.comment("for\n web-1");
        assert_eq!(comment, "windlass/1a2b3c4d job_20261122_120000_a1b2c3-2 for web-1");
        assert!(owner.has_made(Some(&comment)) && !owner.has_made(None));
        assert!(!Owner::new("ffffffff").has_made(Some(&comment)));
        assert!(!owner.has_made(Some("not windlass/1a2b3c4d ")));
        assert_eq!(marker.comment(&"ä".repeat(500)).chars().count(), LONGEST);
    }
}
