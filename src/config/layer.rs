//! Flags, environment and file, in that order, as one command line.
//!
//! What the environment and the file say is written behind the flags, as flags, so that the rules of an option are in one
//! place and nobody who adds one thinks of files. Whatever stands higher wins, also over what it can't stand beside. Where
//! each came from is kept, so that a wrong value is refused with the variable, or the key's line.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::args::Arguments;

/// The option that names the file.
const FILE_OPTION: &str = "config";
/// Commands whose options may be in a file. A key of another of them is no mistake: signaling and its nodes may share a file.
const SERVING: [&str; 3] = ["serve", "signaling", "sfu"];

/// What is outside of the process.
pub(crate) struct Surroundings<'a> {
    /// A variable of the environment.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// A file's text.
    pub(crate) file: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// What can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayerError {
    /// The command line is wrong, or asks for help.
    #[error("{0}")]
    Flags(clap::Error),
    /// A value from the environment or the file is.
    #[error("{0}")]
    Value(String),
    #[error("can't read the options in {}: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: {what}", .path.display())]
    Line { path: PathBuf, line: usize, what: String },
}

/// Where the options come from that are no flags, by name.
#[derive(Debug, Default)]
pub(crate) struct Origins(BTreeMap<String, Origin>);

#[derive(Debug)]
enum Origin {
    Variable(String),
    Line { path: PathBuf, line: usize },
}

impl Origins {
    /// A complaint that names options, with where each of them is.
    pub(crate) fn explain(&self, complaint: &str) -> String {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let names = complaint.split("--").skip(1).filter_map(|rest| rest.split(|c| !is_name(c)).next());
        let mut places = Vec::new();
        for origin in names.filter_map(|name| self.0.get(name)) {
            let place = match origin {
                Origin::Variable(name) => name.clone(),
                Origin::Line { path, line } => format!("{}, line {line}", path.display()),
            };
            if !places.contains(&place) {
                places.push(place);
            }
        }
        if places.is_empty() {
            complaint.to_owned()
        } else {
            format!("{}: {complaint}", places.join(" and "))
        }
    }
}

/// Reads the options of a process. `line` begins with the program's name.
pub(crate) fn read(
    line: Vec<OsString>,
    surroundings: &Surroundings<'_>,
) -> Result<(Arguments, Origins), LayerError> {
    let command = Arguments::command();
    let asks = |token: &OsString| {
        ["-h", "--help", "-V", "--version"].iter().any(|it| token == it) || token == "help"
    };
    if line.iter().skip(1).any(asks) {
        // Help shows the variables, too.
        return parse(command, &line).map(|it| (it, Origins::default())).map_err(LayerError::Flags);
    }
    let mut layers = Layers::new(&command, line);
    if layers.takes_file() {
        layers.add_environment(surroundings)?;
        if let Some(path) = layers.file() {
            let source = |source| LayerError::File { path: path.clone(), source };
            let text = (surroundings.file)(&path).map_err(source)?;
            layers.add_file(&path, &text)?;
        }
    }
    let Layers { line, origins, .. } = layers;
    match parse(without_environment(command.clone()), &line) {
        Ok(arguments) => Ok((arguments, origins)),
        Err(error) => {
            let text = error.to_string();
            let complaint = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            let explained = origins.explain(complaint);
            if explained == complaint || error.kind() == ErrorKind::DisplayHelp {
                return Err(LayerError::Flags(error));
            }
            Err(LayerError::Value(explained))
        }
    }
}

fn parse(command: Command, line: &[OsString]) -> Result<Arguments, clap::Error> {
    let matches = command.try_get_matches_from(line)?;
    Arguments::from_arg_matches(&matches)
}

fn without_environment(command: Command) -> Command {
    command
        .mut_args(|arg| arg.env(None::<&str>))
        .mut_subcommands(|sub| sub.mut_args(|arg| arg.env(None::<&str>)))
}

struct Layers<'a> {
    /// The program's options, or those of the command that is named.
    active: &'a Command,
    all: &'a Command,
    line: Vec<OsString>,
    /// Options that are on the line already.
    given: BTreeSet<String>,
    origins: Origins,
}

impl<'a> Layers<'a> {
    fn new(all: &'a Command, line: Vec<OsString>) -> Self {
        let named = line.get(1).and_then(|name| all.find_subcommand(name));
        let mut layers = Self {
            active: named.unwrap_or(all),
            all,
            line,
            given: BTreeSet::new(),
            origins: Origins::default(),
        };
        layers.given = layers.line.iter().filter_map(flag_name).collect();
        layers
    }

    fn option(&self, name: &str) -> Option<&'a Arg> {
        self.active.get_arguments().find(|arg| arg.get_long() == Some(name))
    }

    fn takes_file(&self) -> bool {
        self.option(FILE_OPTION).is_some()
    }

    /// The file that flags or environment name.
    fn file(&self) -> Option<PathBuf> {
        let at = self.line.iter().position(|token| flag_name(token).as_deref() == Some(FILE_OPTION))?;
        let token = self.line.get(at)?;
        let inline = token.to_str().and_then(|token| token.split_once('=')).map(|(_, value)| value.into());
        inline.or_else(|| self.line.get(at + 1).map(PathBuf::from))
    }

    fn add_environment(&mut self, surroundings: &Surroundings<'_>) -> Result<(), LayerError> {
        let mut found = Vec::new();
        for arg in self.active.get_arguments() {
            let (Some(name), Some(variable)) = (arg.get_long(), arg.get_env().and_then(OsStr::to_str)) else {
                continue;
            };
            let Some(value) = (surroundings.variable)(variable) else { continue };
            if self.is_settled(arg) {
                continue;
            }
            let tokens = if arg.get_action().takes_values() {
                vec![token(name, &value)]
            } else {
                match value.to_str() {
                    Some("true") => vec![OsString::from(format!("--{name}"))],
                    Some("false" | "") => Vec::new(),
                    _ => return Err(LayerError::Value(format!("{variable}: true or false"))),
                }
            };
            found.push((name.to_owned(), Origin::Variable(variable.to_owned()), tokens));
        }
        self.take(found);
        Ok(())
    }

    fn add_file(&mut self, path: &Path, text: &str) -> Result<(), LayerError> {
        let line_of = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        let refuse =
            |at: usize, what: String| LayerError::Line { path: path.to_owned(), line: line_of(at), what };
        let table = DeTable::parse(text).map_err(|error| {
            let what = error.message().lines().next().unwrap_or("no TOML").to_owned();
            refuse(error.span().map_or(0, |span| span.start), what)
        })?;
        let mut found = Vec::new();
        for (key, value) in table.get_ref() {
            let (name, at) = (key.get_ref().as_ref(), key.span().start);
            if !self.is_known(name) {
                return Err(refuse(at, format!("there is no option {name}{}", self.hint(name))));
            }
            let Some(arg) = self.option(name).filter(|arg| !self.is_settled(arg)) else { continue };
            let tokens = tokens(name, arg, value)
                .map_err(|what| refuse(value.span().start, format!("{name}: {what}")))?;
            let origin = Origin::Line { path: path.to_owned(), line: line_of(at) };
            found.push((name.to_owned(), origin, tokens));
        }
        self.take(found);
        Ok(())
    }

    /// Whether something higher has said it, or what it can't stand beside.
    fn is_settled(&self, arg: &Arg) -> bool {
        let excludes = |one: &Arg, other: &Arg| {
            self.active.get_arg_conflicts_with(one).iter().any(|it| it.get_id() == other.get_id())
        };
        self.given
            .iter()
            .filter_map(|name| self.option(name))
            .any(|given| given.get_id() == arg.get_id() || excludes(given, arg) || excludes(arg, given))
    }

    fn take(&mut self, found: Vec<(String, Origin, Vec<OsString>)>) {
        for (name, origin, tokens) in found {
            self.line.extend(tokens);
            self.given.insert(name.clone());
            self.origins.0.insert(name, origin);
        }
    }

    fn is_known(&self, name: &str) -> bool {
        names(self.all).contains(name)
    }

    /// The option that was meant, if one differs by little more than a sign or `_`.
    fn hint(&self, name: &str) -> String {
        let plain = |text: &str| text.to_lowercase().replace(['-', '_'], "");
        let names = names(self.all);
        let near = names.iter().find(|it| plain(it) == plain(name));
        near.map_or(String::new(), |near| format!("; {near} is one"))
    }
}

/// Every option that a file may have.
pub(super) fn names(all: &Command) -> BTreeSet<String> {
    let serving = SERVING.iter().filter_map(|name| all.find_subcommand(name));
    let names = serving.flat_map(Command::get_arguments).filter_map(Arg::get_long);
    names.filter(|name| ![FILE_OPTION, "help", "version"].contains(name)).map(str::to_owned).collect()
}

fn flag_name(token: &OsString) -> Option<String> {
    let name = token.to_str()?.strip_prefix("--")?.split('=').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn token(name: &str, value: &OsStr) -> OsString {
    let mut token = OsString::from(format!("--{name}="));
    token.push(value);
    token
}

/// A key's value as flags.
fn tokens(name: &str, arg: &Arg, value: &Spanned<DeValue<'_>>) -> Result<Vec<OsString>, String> {
    if !arg.get_action().takes_values() {
        return match value.get_ref() {
            DeValue::Boolean(true) => Ok(vec![format!("--{name}").into()]),
            DeValue::Boolean(false) => Ok(Vec::new()),
            _ => Err("true or false".into()),
        };
    }
    match value.get_ref() {
        DeValue::Array(values) if matches!(arg.get_action(), ArgAction::Append) => {
            values.iter().map(|value| Ok(token(name, OsStr::new(&text(value.get_ref())?)))).collect()
        }
        DeValue::Array(_) => Err("one value, no list".into()),
        value => Ok(vec![token(name, OsStr::new(&text(value)?))]),
    }
}

fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Boolean(value) => Ok(value.to_string()),
        DeValue::Float(value) => Ok(value.as_str().to_owned()),
        DeValue::Integer(value) => i128::from_str_radix(value.as_str(), value.radix())
            .map(|number| number.to_string())
            .map_err(|_| format!("{} is too large", value.as_str())),
        other => Err(format!("no {} belongs here", other.type_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Signaling;

    fn with(
        line: &str,
        variables: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<(Arguments, Origins), String> {
        let mut line: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        if file.is_some() {
            line.push("--config=p.toml".into());
        }
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let read_file = |path: &Path| match (path.to_str(), file) {
            (Some("p.toml"), Some(text)) => Ok(text.to_owned()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        read(line, &Surroundings { variable: &variable, file: &read_file }).map_err(|error| error.to_string())
    }

    fn signaling(line: &str, variables: &[(&str, &str)], file: Option<&str>) -> Signaling {
        let (arguments, _) = with(line, variables, file).unwrap_or_else(|error| panic!("{error}"));
        match arguments.command {
            Some(crate::args::Command::Signaling(raw)) => raw.signaling,
            None => arguments.serve.signaling,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_count_before_the_environment_and_that_before_the_file() {
        let file =
            Some("listen = '127.0.0.1:3'\nmax-connections = 1_000\nstun-server = ['stun:a', 'stun:b']");
        let env = [("PATCHBAY_LISTEN", "127.0.0.1:2")];
        let port = |line, env: &[(&str, &str)], file| signaling(line, env, file).listen.port();
        assert_eq!(port("patchbay", &[], None), 8080);
        assert_eq!(port("patchbay", &[], file), 3);
        assert_eq!(port("patchbay", &env, file), 2);
        assert_eq!(port("patchbay signaling --listen 127.0.0.1:1", &env, file), 1);
        let all = signaling("patchbay", &[("PATCHBAY_STUN_SERVER", "stun:c")], file);
        assert_eq!(
            (all.max_connections, all.stun_server.as_slice()),
            (1_000, ["stun:c".to_owned()].as_slice())
        );
        assert_eq!(signaling("patchbay", &[], file).stun_server, ["stun:a", "stun:b"]);
    }

    #[test]
    fn a_higher_layer_wins_over_what_it_can_not_stand_beside() {
        let raw = signaling("patchbay --keys-file f", &[("PATCHBAY_KEYS", "a:b")], Some("keys = 'c:d'"));
        assert!(raw.keys.is_none() && raw.keys_file.is_some());
        let both = with("patchbay", &[], Some("keys = 'c:d'\nkeys-file = 'f'")).unwrap_err();
        assert!(both.starts_with("p.toml, line") && both.contains("--keys-file"), "{both}");
    }

    #[test]
    fn switches_are_true_or_false() {
        assert!(signaling("patchbay", &[], Some("insecure-open = true")).insecure_open);
        let off = [("PATCHBAY_INSECURE_OPEN", "false")];
        assert!(!signaling("patchbay", &off, Some("insecure-open = true")).insecure_open);
        assert!(with("patchbay", &[("PATCHBAY_INSECURE_OPEN", "maybe")], None).is_err());
        let (arguments, _) = with("patchbay", &[], Some("ice-tcp-http = false")).unwrap();
        assert_eq!(arguments.serve.ice_tcp_http, Some(false));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (file, words) in [
            ("\n\nlisen = 'x'", "p.toml, line 3: there is no option lisen"),
            ("max_connections = 1", "line 1: there is no option max_connections; max-connections is one"),
            ("config = 'other.toml'", "there is no option config"),
            ("room = 'r'", "there is no option room"),
            ("# one\nlisten = 'nowhere'", "p.toml, line 2: invalid value 'nowhere' for '--listen"),
            ("listen = ['127.0.0.1:1']", "line 1: listen: one value"),
            ("media-port = 70000", "line 1: invalid value '70000' for '--media-port"),
            ("insecure-open = 1", "line 1: insecure-open: true or false"),
            ("\n[listen]\nport = 1", "line 2: listen: no table"),
            ("drain-timeout = 'soon'", "line 1: invalid value 'soon' for '--drain-timeout"),
            ("keys = 1\nlisten = ", "line 2:"),
            ("listen = '127.0.0.1:1'\nlisten = '127.0.0.1:1'", "line 2: duplicate key"),
        ] {
            let error = with("patchbay", &[], Some(file)).unwrap_err();
            assert!(error.contains(words), "{file:?}: {error}");
        }
        let error = with("patchbay", &[("PATCHBAY_LISTEN", "x")], None).unwrap_err();
        assert!(error.starts_with("PATCHBAY_LISTEN: invalid value 'x'"), "{error}");
        let error = with("patchbay --config=other.toml", &[], None).unwrap_err();
        assert!(error.contains("can't read the options in other.toml"), "{error}");
        assert!(matches!(with("patchbay --listen x", &[], None), Err(error) if error.starts_with("error: ")));
    }

    #[test]
    fn what_the_options_mean_is_explained_with_their_places_too() {
        let (_, origins) = with("patchbay", &[], Some("\nturn-ttl = '9d'")).unwrap();
        let explained = origins.explain("--turn-ttl \"9d\": 1m to 7d");
        assert_eq!(explained, "p.toml, line 2: --turn-ttl \"9d\": 1m to 7d");
        assert_eq!(origins.explain("--listen is odd"), "--listen is odd");
    }

    #[test]
    fn processes_may_share_a_file() {
        let file = Some("listen = '127.0.0.1:3'\nmedia-port = 9\nsignaling = 'ws://a/'\nnode-secret = 's'");
        let (arguments, _) = with("patchbay sfu", &[], file).unwrap();
        let Some(crate::args::Command::Sfu(raw)) = arguments.command else { panic!() };
        assert_eq!((raw.media.media_port, raw.signaling.as_str()), (9, "ws://a/"));
        assert_eq!(signaling("patchbay signaling", &[], file).node_secret.as_deref(), Some("s"));
        // Its options have the same names and another meaning.
        assert!(with("patchbay turn-config --realm a --print turnserver.conf", &[], None).is_ok());
    }
}
