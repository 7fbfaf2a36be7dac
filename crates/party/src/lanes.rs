//! Lanes: a party is as many independent processes as it has lanes, each on a machine of its own or not. Lane i
//! of all parties belong together: whoever comes to lane i of one comes to lane i of all, and nothing goes
//! from one lane to another. Each has its own store and its own log.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What stands for a lane's number in an address or a path.
const MARK: &str = "{lane}";

/// Which lane a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lane {
    /// The first; the only one, where there are no others.
    #[default]
    First,
    /// This one, counted from 0.
    Number(usize),
    /// The one whose number stands at the end of the host's name, as that of a StatefulSet's pod.
    OfHost,
}

impl FromStr for Lane {
    type Err = String;

    fn from_str(text: &str) -> Result<Lane, String> {
        match text {
            "auto" => Ok(Lane::OfHost),
            number => number
                .parse()
                .map(Lane::Number)
                .map_err(|_| format!("{number:?} is no lane: give its number, from 0, or auto")),
        }
    }
}

impl Lane {
    /// Its number, where there are so many.
    ///
    /// # Errors
    /// There are fewer, or the host's name has no number.
    pub fn number(self, lanes: usize) -> Result<usize, String> {
        let number = match self {
            Lane::First => 0,
            Lane::Number(number) => number,
            Lane::OfHost => of_host(&host()?)?,
        };
        if number < lanes {
            return Ok(number);
        }
        Err(format!("lane {number} is none of this site's: site.lanes is {lanes}, and the first lane is 0"))
    }
}

fn host() -> Result<String, String> {
    #[cfg(unix)]
    {
        let name = rustix::system::uname();
        Ok(name.nodename().to_string_lossy().into_owned())
    }
    #[cfg(not(unix))]
    {
        Err("--lane auto: this system does not say what the host is called; give a number".into())
    }
}

fn of_host(name: &str) -> Result<usize, String> {
    let name = name.split('.').next().unwrap_or_default();
    let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number
        .ok_or_else(|| format!("--lane auto: the host's name, {name}, does not end with a dash and a number"))
}

/// The address of a lane: where it does not say where its number stands, each has the next port.
///
/// # Errors
/// There is no such port.
pub(crate) fn address(text: &str, lane: usize) -> Result<String, String> {
    if text.contains(MARK) {
        return Ok(text.replace(MARK, &lane.to_string()));
    }
    shifted(text, lane)
}

/// Where a lane listens: at the port itself where lanes have addresses of their own.
///
/// # Errors
/// There is no such port.
pub(crate) fn listen(text: &str, address: &str, lane: usize) -> Result<String, String> {
    if address.contains(MARK) && !text.contains(MARK) {
        return Ok(text.into());
    }
    self::address(text, lane)
}

fn shifted(text: &str, lane: usize) -> Result<String, String> {
    if lane == 0 {
        return Ok(text.into());
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let port = port.parse::<u16>().ok().and_then(|port| port.checked_add(u16::try_from(lane).ok()?));
    let port = port.ok_or_else(|| format!("{text} has no port for lane {lane}"))?;
    Ok(format!("{host}:{port}"))
}

/// The file or folder of a lane: beside that of the first.
pub(crate) fn path(path: &Path, lane: usize) -> PathBuf {
    let text = path.to_string_lossy();
    if text.contains(MARK) {
        return text.replace(MARK, &lane.to_string()).into();
    }
    if lane == 0 {
        return path.into();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{lane}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{lane}"),
    };
    path.with_file_name(name)
}
