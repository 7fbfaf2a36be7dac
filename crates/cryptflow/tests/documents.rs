//! What the Markdown files name is there: paths, and the items of the code.
//!
//! In every Markdown file, what stands between backquotes and looks like a path must exist, from
//! the root, from the file's folder, or from somewhere in the tree (`nodes/`, `schedule.rs`). In
//! the files for developers, what looks like an item of the code (`Protocol::apply`, `CostModel`,
//! `with_zero()`) must be defined, each of its parts.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The files that speak of the code.
const FOR_DEVELOPERS: [&str; 7] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "LEXICON.md",
    "docs/security/mirror.md",
    "docs/security/dealt-ahead.md",
    "docs/security/porthos.md",
    "docs/security/aramis.md",
];

/// Paths that are made elsewhere: by whoever follows a guide, or by a party on its disk.
const MADE: [&str; 2] = ["crates/athos/src/passes/your_pass.rs", "store/evidence.json"];

/// Endings of names of files.
const ENDINGS: [&str; 11] =
    [".rs", ".py", ".md", ".toml", ".sh", ".json", ".txt", ".npy", ".npz", ".html", ".lock"];

/// Words that come before the name of what they define.
const DEFINES: [&str; 9] =
    ["fn", "struct", "enum", "trait", "mod", "const", "type", "static", "macro_rules!"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file of the project, relative to its root; nothing that is built or hidden but `.ci`.
fn tree(root: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == "target" || (name.starts_with('.') && name != ".ci") {
                continue;
            }
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

/// What stands between backquotes, outside of blocks of code, with its line.
fn spans(text: &str) -> Vec<(usize, String)> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced || line.starts_with("    ") {
            continue;
        }
        let parts: Vec<&str> = line.split('`').collect();
        spans.extend(parts.iter().skip(1).step_by(2).map(|span| (number + 1, (*span).to_string())));
    }
    spans
}

/// Links to files of the project.
fn links(text: &str) -> Vec<(usize, String)> {
    let of_line = |(number, line): (usize, &str)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let own = targets.filter(|t| !t.contains("://") && !t.starts_with('#') && !t.starts_with("mailto:"));
        own.map(|t| (number + 1, t.split('#').next().unwrap_or(t).to_string())).collect::<Vec<_>>()
    };
    text.lines().enumerate().flat_map(of_line).collect()
}

fn looks_like_a_path(span: &str) -> bool {
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    // Capitals stand for something: NAME.npy, docs/YOUR_PAGE.md.
    let placeholder = span
        .split(['/', '.'])
        .any(|part| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    let known =
        ["crates/", "docs/", "models/", "deploy/", "fuzz/", ".ci/"].iter().any(|p| span.starts_with(p));
    // What begins with a slash is an address that something answers at.
    plain
        && !placeholder
        && !span.starts_with('/')
        && (known || ENDINGS.iter().any(|e| span.ends_with(e) && span.len() > e.len()))
}

/// An item: `name()`, `Name`, or parts with `::` between; none for anything else.
fn item(span: &str) -> Option<Vec<String>> {
    let name = span.split(['(', '<', ' ', '{', '!']).next().unwrap_or(span);
    let called = span.starts_with(&format!("{name}("));
    let parts: Vec<&str> = name.split("::").collect();
    let word = |part: &&str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit())
    };
    let camel = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.chars().any(|c| c.is_ascii_lowercase())
            && part.len() > 2
    };
    if !parts.iter().all(word) || (parts.len() == 1 && !called && !camel(name)) {
        return None;
    }
    Some(parts.into_iter().map(str::to_string).collect())
}

/// Every name that the code defines: items, variants, fields, methods, crates; and the code words
/// of scripts.
fn defined(root: &Path, files: &[String]) -> HashSet<String> {
    let mut names = HashSet::new();
    for file in files {
        if let Some(name) = file.strip_prefix("crates/").filter(|name| !name.contains('/')) {
            names.insert(name.to_string());
        }
        if !file.ends_with(".rs") && !file.ends_with(".py") {
            continue;
        }
        if let Some(stem) = Path::new(file).file_stem() {
            names.insert(stem.to_string_lossy().into_owned());
        }
        for line in fs::read_to_string(root.join(file)).unwrap().lines() {
            define(line, &mut names);
        }
    }
    names
}

fn define(line: &str, names: &mut HashSet<String>) {
    let word = |text: &str| {
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("").to_string()
    };
    let tokens: Vec<&str> = line.split_whitespace().collect();
    for pair in tokens.windows(2) {
        if DEFINES.contains(&pair[0]) || pair[0] == "def" || pair[0] == "class" {
            names.insert(word(pair[1]));
        }
    }
    // The names of operations stand in tables, as texts.
    let texts = line.split('"').skip(1).step_by(2);
    names.extend(texts.filter(|t| t.chars().all(|c| c.is_ascii_alphanumeric())).map(str::to_string));
    // A field or a variant: the first word of a line, before `:`, `,`, `(` or `{`.
    let first = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
    let name = word(first);
    if !name.is_empty() && first[name.len()..].trim_start().starts_with([':', ',', '(', '{', '=']) {
        names.insert(name);
    }
}

/// What a page names that is not there.
fn missing(page: &str, text: &str, names: &HashSet<String>, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut missing = Vec::new();
    for (line, link) in links(text).into_iter().filter(|(_, link)| !exists(link)) {
        missing.push(format!("{page}:{line}: a link to {link}"));
    }
    for (line, span) in spans(text) {
        if looks_like_a_path(&span) {
            // Files that a reader makes are named alone; what has a folder is ours.
            let ours = (span.contains('/') || span.ends_with(".rs")) && !MADE.contains(&span.as_str());
            if ours && !exists(&span) {
                missing.push(format!("{page}:{line}: the path {span}"));
            }
        } else if FOR_DEVELOPERS.contains(&page)
            && let Some(parts) = item(&span)
            && let Some(part) = parts.iter().find(|part| !names.contains(*part))
        {
            missing.push(format!("{page}:{line}: {span}: nothing is called {part}"));
        }
    }
    missing
}

#[test]
fn what_the_pages_name_is_there() {
    let root = root();
    let files = tree(&root);
    let names = defined(&root, &files);
    let mut all = Vec::new();
    for page in files.iter().filter(|file| file.ends_with(".md")) {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let folder = root.join(page).parent().unwrap().to_path_buf();
        let exists = |path: &str| {
            let path = path.trim_end_matches('/');
            let suffix = format!("/{path}");
            root.join(path).exists()
                || folder.join(path).exists()
                || files.iter().any(|file| file.ends_with(&suffix))
        };
        all.extend(missing(page, &text, &names, &exists));
    }
    assert!(all.is_empty(), "{} names without a thing:\n{}", all.len(), all.join("\n"));
}

/// Lines that are set apart as commands: indented, outside of fences.
fn commands(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if let Some(command) = line.strip_prefix("    ").filter(|_| !fenced) {
            found.push(command);
        }
    }
    found
}

#[test]
fn the_readmes_first_two_commands_are_run() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let run = fs::read_to_string(root().join(".ci/run")).unwrap();
    let first = &commands(&readme)[..2];
    assert_eq!(first, ["./demo", "cargo test --workspace"]);
    for command in first {
        assert!(run.lines().any(|line| line.starts_with(&format!("stage {command}"))), "{command}");
    }
    assert_eq!(commands("```\n    a\n```\n    b"), ["b"]);
}

#[test]
fn a_name_without_a_thing_is_found() {
    assert_eq!(spans("see `a/b.rs` and `C`\n```\n`no`\n```"), [(1, "a/b.rs".into()), (1, "C".into())]);
    assert_eq!(links("[x](docs/a.md#part), [y](https://e.org)"), [(1, "docs/a.md".into())]);
    for path in ["crates/ring", "nodes/mod.rs", ".ci/run", "docs/operations.md"] {
        assert!(looks_like_a_path(path), "{path}");
    }
    for other in ["NAME.npy", "a b.rs", "x", "docs/YOUR_PAGE.md", "--input"] {
        assert!(!looks_like_a_path(other), "{other}");
    }
    assert_eq!(item("Protocol::apply").unwrap(), ["Protocol", "apply"]);
    assert_eq!(item("with_zero()").unwrap(), ["with_zero"]);
    assert_eq!(item("CostModel").unwrap(), ["CostModel"]);
    assert!(item("x").is_none() && item("cargo test").is_none() && item("K − s").is_none());
    let mut names = HashSet::new();
    for line in ["pub(crate) fn apply<P>(x: u8)", "    Widen,", "    pub scale: u32,", "enum Op {"] {
        define(line, &mut names);
    }
    assert!(["apply", "Widen", "scale", "Op"].iter().all(|name| names.contains(*name)), "{names:?}");
    let text = "`Widen`, `Op::Narrow`, `crates/none`, [here](there.md), `apply()` and `gone()`";
    let found = missing("ARCHITECTURE.md", text, &names, &|_| false);
    for what in ["there.md", "crates/none", "nothing is called Narrow", "nothing is called gone"] {
        assert!(found.iter().any(|f| f.contains(what)), "{what}: {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
}
