//! `patchbay.example.toml` against the options: every one is in it, with its default or an example that is allowed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;

use clap::{Arg, Command, CommandFactory};

use super::layer::{self, LayerError, Surroundings};
use crate::args::Arguments;

const SAMPLE: &str = include_str!("../../patchbay.example.toml");

/// Keys and values, with their lines as they would be without the sign.
fn sample() -> BTreeMap<String, String> {
    let mut options = BTreeMap::new();
    for line in SAMPLE.lines() {
        let Some(rest) = line.strip_prefix('#').filter(|it| it.starts_with(|c: char| c.is_ascii_lowercase()))
        else {
            assert!(line.is_empty() || line.starts_with("# "), "neither an option nor words: {line}");
            continue;
        };
        let (name, _) = rest.split_once(" = ").unwrap_or_else(|| panic!("no option: {line}"));
        let earlier = options.insert(name.to_owned(), rest.to_owned());
        assert_eq!(earlier, None, "{name} is there twice");
    }
    options
}

fn option<'a>(all: &'a Command, name: &str) -> (&'a str, &'a Arg) {
    let roles = ["serve", "signaling", "sfu"];
    let find = |role| {
        Some((role, all.find_subcommand(role)?.get_arguments().find(|it| it.get_long() == Some(name))?))
    };
    roles.into_iter().find_map(find).unwrap_or_else(|| panic!("the sample has {name}, which is no option"))
}

#[test]
fn the_sample_has_every_option_and_no_other() {
    let all = Arguments::command();
    let sample: Vec<String> = sample().into_keys().collect();
    let known: Vec<String> = layer::names(&all).into_iter().collect();
    assert_eq!(sample, known, "patchbay.example.toml (left) and the options (right)");
}

#[test]
fn values_in_the_sample_are_the_defaults_or_allowed() {
    let mut all = Arguments::command();
    all.build();
    for (name, line) in sample() {
        let (role, arg) = option(&all, &name);
        let value = line.split_once(" = ").map_or("", |(_, value)| value.trim_matches('"'));
        let default = arg.get_default_values().first().and_then(|it| it.to_str());
        match default {
            Some(default) => assert_eq!(value, default, "{name}"),
            // A switch that nobody touches.
            None if !arg.get_action().takes_values() => assert_eq!(value, "false", "{name}"),
            None => {}
        }
        let mut command: Vec<OsString> = vec!["patchbay".into(), role.into(), "--config=sample".into()];
        if role == "sfu" {
            command.extend(["--signaling=ws://a/".into(), "--node-secret=a".into()]);
            command.retain(|it| !it.to_str().is_some_and(|it| it.starts_with(&format!("--{name}="))));
        }
        let read = layer::read(
            command,
            &Surroundings {
                variable: &|_| None,
                file: &|path| {
                    if path.as_os_str() == "sample" {
                        Ok(line.clone())
                    } else {
                        Err(io::ErrorKind::NotFound.into())
                    }
                },
            },
        );
        match read {
            Ok(_) => {}
            // What comes in pairs can't stand alone.
            Err(LayerError::Flags(error)) => {
                assert_eq!(error.kind(), clap::error::ErrorKind::MissingRequiredArgument, "{name}: {error}");
            }
            Err(LayerError::Value(words)) => assert!(words.contains("required"), "{name}: {words}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn the_sample_as_it_is_changes_nothing() {
    let file = |_: &std::path::Path| Ok(SAMPLE.to_owned());
    let surroundings = Surroundings { variable: &|_| None, file: &file };
    let plain = layer::read(vec!["patchbay".into()], &surroundings).unwrap().0;
    let line = vec!["patchbay".into(), "--config=patchbay.example.toml".into()];
    let with = layer::read(line, &surroundings).unwrap().0;
    let shape = |raw: &Arguments| format!("{raw:?}").replace("Some(\"patchbay.example.toml\")", "None");
    assert_eq!(shape(&with), shape(&plain));
}
