//! What the machine itself tells of its load.

/// Runnable processes per core, averaged over a minute; `None` where the system does not tell.
#[must_use]
pub fn load_per_core() -> Option<f64> {
    let cores = std::thread::available_parallelism().ok()?.get();
    Some(one_minute_load()? / f64::from(u32::try_from(cores).ok()?))
}

#[cfg(target_os = "linux")]
fn one_minute_load() -> Option<f64> {
    /// The kernel counts in parts of so many.
    const ONE: f64 = 65_536.0;
    let load = u32::try_from(rustix::system::sysinfo().loads[0]).ok()?;
    Some(f64::from(load) / ONE)
}

#[cfg(not(target_os = "linux"))]
fn one_minute_load() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn the_load_is_the_one_that_the_system_tells_everybody() {
        let cores = std::thread::available_parallelism().unwrap().get() as f64;
        let told = || {
            let text = std::fs::read_to_string("/proc/loadavg").unwrap();
            text.split(' ').next().unwrap().parse::<f64>().unwrap() / cores
        };
        // It moves every five seconds: of three looks at least the outer two cannot both be of another moment.
        let (before, load, after) = (told(), super::load_per_core().unwrap(), told());
        let is_it = |told: f64| (load - told).abs() <= 0.011 / cores.min(1.0);
        assert!(is_it(before) || is_it(after), "{before} {load} {after}");
    }
}
