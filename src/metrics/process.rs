//! What the system says of this process, from `/proc`. Where that is not to be had (another system than Linux), nothing is said.

use std::fs;
use std::time::Duration;

/// The process at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Memory in RAM, in bytes.
    pub resident_bytes: u64,
    /// Time on a processor, in user and system mode.
    pub cpu: Duration,
    /// Open files and sockets.
    pub open_files: usize,
    /// How many there may be.
    pub max_files: Option<usize>,
}

impl Process {
    /// Asks the system.
    pub fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count();
        Some(Self {
            resident_bytes: resident(&status)?,
            cpu: cpu(&stat)?,
            // One of them is the directory that was just read.
            open_files: open_files.saturating_sub(1),
            max_files: max_files(),
        })
    }
}

/// In kibibytes there, whatever the size of a page.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn max_files() -> Option<usize> {
    let (soft, _) = rlimit::Resource::NOFILE.get().ok()?;
    usize::try_from(soft).ok()
}

/// Fields 14 and 15, in hundredths of a second on every Linux; the second is a name in parentheses that may hold spaces.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_understood() {
        assert_eq!(
            resident("VmPeak:\t 9 kB\nVmRSS:\t    1024 kB\n"),
            Some(1 << 20)
        );
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!((resident(""), cpu("12 (a")), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_known() {
        let process = Process::read().unwrap();
        assert!(
            process.resident_bytes > 1 << 20
                && process.open_files > 2
                && process.max_files > Some(process.open_files),
            "{process:?}"
        );
    }
}
