//! The embedded PostgreSQL of a measured server.

use std::path::Path;

use anyhow::{Context, Result};

use crate::process::times;

/// The cluster of a data directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cluster {
    postmaster: u32,
}

impl Cluster {
    /// The cluster of a running server.
    pub(crate) fn of(data_dir: &Path) -> Result<Self> {
        let file = std::fs::read_to_string(data_dir.join("postgres/data/postmaster.pid"))?;
        Ok(Self { postmaster: file.lines().next().context("a process id")?.trim().parse()? })
    }

    /// The ids and CPU times of its processes, the postmaster's too. A process may end while it is read.
    pub(crate) fn processes(self) -> Result<Vec<(String, f64)>> {
        let postmaster = self.postmaster.to_string();
        let (_, [own, ended]) = times(&postmaster)?;
        let mut processes = vec![(postmaster, own + ended)];
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
            if let Some((pid, (parent, [own, ended]))) = pid.and_then(|pid| Some((pid, times(pid).ok()?)))
                && parent == self.postmaster
            {
                processes.push((pid.to_owned(), own + ended));
            }
        }
        Ok(processes)
    }

    /// CPU time of all its processes so far, in microseconds.
    pub(crate) fn cpu_us(self) -> Result<f64> {
        Ok(self.processes()?.iter().map(|(_, us)| us).sum())
    }
}
