//! Processes that are measured from outside.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// A child process that ends with this one.
pub(crate) struct Process(Child);

impl Process {
    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM, so that a server with an embedded database stops it.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// This binary again, in another role.
pub(crate) fn role(arguments: &[&str]) -> Result<Process> {
    Ok(Process(Command::new(std::env::current_exe()?).args(arguments).stdin(Stdio::null()).spawn()?))
}

/// A server with one function that reads profiles from this address.
pub(crate) fn server(address: &str, source: &str, function: &str, extra: &[(&str, &str)]) -> Result<Process> {
    let source = format!("http://{source}");
    start(address, function, &[&[("PYROSCOPE_URL", source.as_str())], extra].concat())
}

/// A server with one function and these environment variables.
pub(crate) fn start(address: &str, function: &str, variables: &[(&str, &str)]) -> Result<Process> {
    let port = address.rsplit(':').next().unwrap_or_default();
    let usual = [("FUNCTION", function), ("PORT", port), ("SELF_PROFILE", "false"), ("LOG_LEVEL", "warn")];
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    command.env_remove("DATABASE_URL").envs(usual).envs(variables.iter().copied());
    Ok(Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
}

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// The median of the values; 0 if there are none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Memory of a process as the operating system reports it: `VmRSS:` is resident now, `VmHWM:` is the maximum.
pub(crate) fn memory_mib(pid: u32, key: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("a line of the status")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}

/// CPU time of a process so far, user and system, in microseconds.
pub(crate) fn cpu_us(pid: u32) -> Result<f64> {
    let (_, [own, _]) = times(&pid.to_string())?;
    Ok(own)
}

/// The parent of a process, and the CPU time so far of itself and of its children that ended, in microseconds.
pub(crate) fn times(pid: &str) -> Result<(u32, [f64; 2])> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).context("times of a process");
    let us = |user: usize| Ok::<_, anyhow::Error>((ticks(user)? + ticks(user + 1)?) * 10_000.0); // USER_HZ is 100 on Linux
    let parent = fields.get(1).and_then(|f| f.parse().ok()).context("the parent of a process")?;
    Ok((parent, [us(11)?, us(13)?]))
}
