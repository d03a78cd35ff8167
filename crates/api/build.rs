//! Lists the files of the dashboard, so that they become part of the program without being named one by one.

use std::{
    env,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let root =
        Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo says where")).join("dashboard");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    if root.is_dir() {
        collect(&root, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&root).expect("it is in there");
        let name = name.to_str().expect("names are plain").replace('\\', "/");
        let path = file.to_str().expect("names are plain");
        writeln!(
            table,
            "    File {{ name: {name:?}, content: include_bytes!({path:?}) }},"
        )
        .expect("a text takes all");
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo says where"));
    fs::write(out.join("dashboard.rs"), table)
}

/// Adds the files of a directory, hidden ones left out.
fn collect(dir: &Path, to: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", dir.display());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_some_and(|end| end == "md") {
            continue;
        }
        if path.is_dir() {
            collect(&path, to)?;
        } else {
            to.push(path);
        }
    }
    Ok(())
}
