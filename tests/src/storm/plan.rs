//! What goes wrong in a run: a function of the seed and of nothing else.

use std::collections::BTreeMap;
use std::fmt;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tests::proxy::Direction;

/// At how many boundaries of its jobs a host is to be killed in one run: so many, or fewer where a
/// run has ended before.
const DEATHS: std::ops::RangeInclusive<usize> = 2..=4;

/// The ways from a host to what is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// To the first cloud.
    Hetzner,
    /// To the second one.
    DigitalOcean,
    /// To whoever keeps names.
    Cloudflare,
    /// To the server at the first cloud.
    FirstSshd,
    /// To the server at the second one.
    SecondSshd,
}

/// What happens to a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Harm {
    /// Its connection ends.
    Cut,
    /// The host is killed.
    Kill,
    /// The sshd at its end is killed and started again.
    Restart,
}

/// A part of the whole, in 65536ths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share(u16);

/// A harm, and when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blow {
    /// What happens.
    pub(crate) harm: Harm,
    /// While bytes go this way.
    pub(crate) direction: Direction,
    /// After this share of what an undisturbed run carries, since the blow before.
    pub(crate) after: Share,
}

/// All that goes wrong in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// One host after the other dies after this share of the boundaries that an undisturbed run comes
    /// to, counted from its own start.
    pub(crate) deaths: Vec<Share>,
    /// What happens to each way, one after the other.
    pub(crate) blows: BTreeMap<Way, Vec<Blow>>,
}

/// The fates of runs, one after the other.
pub(crate) struct Plan {
    random: StdRng,
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Hetzner, Self::DigitalOcean, Self::Cloudflare, Self::FirstSshd, Self::SecondSshd];

    /// Which server is at its end.
    pub(crate) const fn server(self) -> Option<usize> {
        match self {
            Self::FirstSshd => Some(0),
            Self::SecondSshd => Some(1),
            Self::Hetzner | Self::DigitalOcean | Self::Cloudflare => None,
        }
    }

    /// Who is at its end.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hetzner => "hetzner",
            Self::DigitalOcean => "digitalocean",
            Self::Cloudflare => "cloudflare",
            Self::FirstSshd | Self::SecondSshd => "sshd",
        }
    }

    /// What happens to it: cuts are likelier than the rest.
    const fn harms(self) -> &'static [Harm] {
        match self.server() {
            Some(_) => &[Harm::Cut, Harm::Cut, Harm::Restart, Harm::Restart, Harm::Kill],
            None => &[Harm::Cut, Harm::Cut, Harm::Cut, Harm::Kill],
        }
    }

    /// How often.
    const fn blows(self) -> std::ops::RangeInclusive<usize> {
        match self.server() {
            Some(_) => 1..=3,
            None => 0..=2,
        }
    }
}

impl Share {
    /// So much of this whole; less than the whole.
    pub(crate) const fn of(self, whole: u64) -> u64 {
        whole * self.0 as u64 / 65_536
    }
}

impl Plan {
    /// The fates that follow from this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed) }
    }

    fn blow(&mut self, way: Way, count: usize) -> Blow {
        let harm = *way.harms().choose(&mut self.random).expect("there are some");
        let ways = [Direction::There, Direction::Back];
        let direction = *ways.choose(&mut self.random).expect("there are two");
        // All of them together come in the course of one run.
        let after = Share(self.random.random::<u16>() / u16::try_from(count).expect("few"));
        Blow { harm, direction, after }
    }
}

impl Iterator for Plan {
    type Item = Fate;

    fn next(&mut self) -> Option<Fate> {
        let count = self.random.random_range(DEATHS);
        // Early ones are likelier: a run that goes on has fewer boundaries than one that begins.
        let deaths = (0..count)
            .map(|_| {
                let most = self.random.random::<u16>();
                Share(self.random.random_range(0..=most))
            })
            .collect();
        let mut blows = BTreeMap::new();
        for way in Way::ALL {
            let count = self.random.random_range(way.blows());
            blows.insert(way, (0..count).map(|_| self.blow(way, count)).collect());
        }
        Some(Fate { deaths, blows })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", f64::from(self.0) / 655.36)
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} after {}", self.harm, self.direction, self.after)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |list: Vec<String>| list.join(", ");
        let deaths = self.deaths.iter().map(Share::to_string).collect();
        write!(f, "host killed after {}", listed(deaths))?;
        for (way, blows) in &self.blows {
            let blows = blows.iter().map(Blow::to_string).collect();
            write!(f, "; {way:?}: {}", listed(blows))?;
        }
        Ok(())
    }
}
