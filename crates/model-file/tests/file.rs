//! The file: written, read, damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../program/tests/program/sample.rs"]
mod sample;

use std::collections::HashMap;
use std::fs;

use cryptflow_model_file::{
    FileError, PACKED, VERSION, check_writable, from_bytes, read, to_bytes, write, write_public,
};
use cryptflow_program::{Activation, Checked, Operation, Program, Rectifier, validate, weights_digest};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// The sample, checked.
fn checked() -> Checked {
    validate(sample::program()).unwrap()
}

/// Weights of three widths: 8, 32 and 16 bits.
fn sample_weights() -> Vec<Vec<i64>> {
    vec![
        (0..54).map(|i| i * 4 - 100).collect(),
        vec![-2_000_000_000, 7, 2_000_000_000],
        (0..36).map(|i| i * 900 - 16000).collect(),
    ]
}

fn report() -> serde_json::Value {
    serde_json::json!({ "layers": [1, 2.5, "three"] })
}

#[test]
fn written_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let (program, weights) = (checked(), sample_weights());
    write(&path, &program, &weights, Some(&report())).unwrap();
    let model = read(&path).unwrap();
    assert_eq!((&model.program, &model.weights, &model.report), (&program, &Some(weights), &Some(report())));
    let bytes = fs::read(&path).unwrap();
    // Written part by part, it is the same file.
    let weights = sample_weights();
    assert_eq!(bytes, to_bytes(&program, Some(&weights), Some(&report())).unwrap());
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let dtypes: Vec<Dtype> =
        (0..3).map(|i| tensors.tensor(&format!("weight.{i}")).unwrap().dtype()).collect();
    assert_eq!(dtypes, [Dtype::I8, Dtype::I32, Dtype::I16]);

    write_public(&path, &program).unwrap();
    let public = read(&path).unwrap();
    assert_eq!((public.program, public.weights, public.report), (program, None, None));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["m.safetensors"], "nothing but the file is left");
}

/// A program says the oldest version in which it can be said, so that files that were written before are read, and
/// those that need no more are read by who knows no more.
#[test]
fn files_have_the_version_of_their_program() {
    let version = |program: &Checked| {
        let bytes = to_bytes(program, None, None).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(from_bytes(&bytes).unwrap().program, *program);
        header.metadata().as_ref().unwrap()["version"].clone()
    };
    let mut program = sample::program();
    assert_eq!(version(&validate(program.clone()).unwrap()), "1");
    let json = serde_json::to_string(&program).unwrap();
    assert!(!json.contains("\"ring\""), "{json}");
    program.version = 2;
    for (value, ring) in [(6, 30), (8, 30)] {
        program.values[value].ring = Some(ring);
    }
    assert_eq!(version(&validate(program.clone()).unwrap()), "2");
    program.version = 4;
    for step in &mut program.steps {
        if let Operation::Activation(Activation {
            function: Rectifier::ClippedRelu { .. }, skipped, ..
        }) = &mut step.operation
        {
            *skipped = 3;
        }
    }
    let program = validate(program).unwrap();
    assert_eq!(version(&program), "4");
    assert_eq!(serde_json::to_string::<Program>(&program).unwrap().matches("\"skipped\"").count(), 1);
}

/// A program whose text is long.
fn long() -> Checked {
    let mut program = sample::program();
    program.steps[0].name = "step/of/a/loop/".repeat(100_000);
    validate(program).unwrap()
}

/// What is long is compressed: all of the file is a part of the text.
#[test]
fn long_programs_are_compressed() {
    let (program, weights) = (long(), sample_weights());
    for (weights, report) in [(Some(weights), Some(report())), (None, None)] {
        let bytes = to_bytes(&program, weights.as_deref(), report.as_ref()).unwrap();
        assert!(bytes.len() < 100_000, "{}", bytes.len());
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["version"], PACKED.to_string());
        let model = from_bytes(&bytes).unwrap();
        assert_eq!((&model.program, model.weights, model.report), (&program, weights, report));
    }
    // A long report alone is reason enough.
    let text = serde_json::json!("layer ".repeat(200_000));
    let bytes = to_bytes(&checked(), None, Some(&text)).unwrap();
    assert!(bytes.len() < 100_000);
    assert_eq!(from_bytes(&bytes).unwrap().report, Some(text));
}

/// Bytes that are no text, are cut off, are another text, or are of another type.
#[test]
fn what_is_compressed_wrongly_has_its_error() {
    let zlib = |bytes: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let changed = |dtype: Option<Dtype>, change: &dyn Fn(&mut Vec<u8>)| {
        rewritten_of(&long(), |_, tensors| {
            let program = tensors.iter_mut().find(|(name, ..)| name == "program").unwrap();
            change(&mut program.3);
            program.1 = dtype.unwrap_or(program.1);
            program.2 = vec![program.3.len()];
        })
    };
    let e = changed(None, &|data| data.truncate(data.len() / 2));
    assert!(matches!(e, FileError::Packed { part: "program", .. }), "{e}");
    let e = changed(None, &|data| *data = zlib(&[0xff, 0xfe]));
    assert!(matches!(e, FileError::Packed { part: "program", .. }), "{e}");
    let e = changed(None, &|data| *data = b"{}".to_vec());
    assert!(matches!(e, FileError::Packed { part: "program", .. }), "{e}");
    let e = changed(Some(Dtype::I8), &|_| ());
    assert!(e.to_string().contains("not bytes"), "{e}");
    let e = changed(None, &|data| *data = zlib(b"{}"));
    assert!(matches!(e, FileError::Digest("program")), "{e}");
    let e = rewritten_of(&long(), |_, tensors| tensors.retain(|(name, ..)| name != "program"));
    assert!(matches!(e, FileError::Missing("program")), "{e}");
    // In the older form nothing is compressed.
    let e = rewritten(|_, tensors| tensors.push(("program".into(), Dtype::U8, vec![1], vec![0])));
    assert!(matches!(e, FileError::Extra { .. }), "{e}");
}

#[test]
fn the_same_model_has_the_same_bytes() {
    let (program, weights) = (checked(), sample_weights());
    let bytes = || to_bytes(&program, Some(&weights), Some(&report())).unwrap();
    let first = bytes();
    // The order of a hash map is another one in each.
    assert!((0..20).all(|_| bytes() == first));
    assert_eq!(from_bytes(&first).unwrap().weights, Some(weights.clone()));
}

#[test]
fn every_width() {
    let edges: [(&[i64], usize); 8] = [
        (&[-128, 127, 0], 1),
        (&[-129, 0, 0], 2),
        (&[0, 128, 0], 2),
        (&[-32768, 32767, 0], 2),
        (&[0, 32768, 0], 4),
        (&[i32::MIN as i64, i32::MAX as i64, 0], 4),
        (&[0, i32::MAX as i64 + 1, 0], 8),
        (&[i64::MIN, i64::MAX, -1], 8),
    ];
    for (data, width) in edges {
        let mut weights = sample_weights();
        weights[1] = data.to_vec();
        let bytes = to_bytes(&checked(), Some(&weights), None).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(tensors.tensor("weight.1").unwrap().data().len(), 3 * width, "{data:?}");
        assert_eq!(from_bytes(&bytes).unwrap().weights.unwrap(), weights);
    }
}

#[test]
fn nothing_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    fs::write(&path, "what was there").unwrap();
    let mut weights = sample_weights();
    weights[0].pop();
    assert!(matches!(
        write(&path, &checked(), &weights, None),
        Err(FileError::WeightLength { index: 0, .. })
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "what was there");

    let nowhere = folder.path().join("no/such/folder/m.safetensors");
    for result in [write(&nowhere, &checked(), &sample_weights(), None), check_writable(&nowhere)] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.contains("no/such/folder"), "{error}");
    }
    assert!(write(folder.path(), &checked(), &sample_weights(), None).is_err());
    assert!(check_writable(folder.path()).is_err());
    check_writable(&path).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A disk with no room: nothing appears, and what was there stays.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error() {
    // A file size limit is what a test can impose without privileges; the kernel answers as a full
    // disk does, with a failed write, in a child process of its own.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact write_for_the_full_disk --nocapture --ignored",
        ])
        .arg(std::env::current_exe().unwrap())
        .env("TARGET_OF_TEST", &path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("refused: cannot write"), "{text}\n{}", String::from_utf8_lossy(&status.stderr));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
#[ignore = "runs inside a_full_disk_is_an_error"]
fn write_for_the_full_disk() {
    let path = std::path::PathBuf::from(std::env::var_os("TARGET_OF_TEST").unwrap());
    let error = write(&path, &checked(), &sample_weights(), None).unwrap_err();
    println!("refused: {error}");
}

#[test]
fn reading_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let error = read(&folder.path().join("absent.safetensors")).unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("absent.safetensors"), "{error}");
    fs::write(folder.path().join("text"), "hello, this is not a model").unwrap();
    let error = read(&folder.path().join("text")).unwrap_err().to_string();
    assert!(error.contains("not a safetensors file") && error.contains("text"), "{error}");
}

/// Cut at every length, and one byte changed at every place: an error, and never a panic or another
/// model.
#[test]
fn damage_is_found() {
    let bytes = to_bytes(&checked(), Some(&sample_weights()), None).unwrap();
    let model = from_bytes(&bytes).unwrap();
    for length in 0..bytes.len() {
        let error = from_bytes(&bytes[..length]).expect_err("a file that was cut off is read");
        assert!(
            matches!(error, FileError::NotSafetensors { .. } | FileError::Truncated),
            "cut at {length}: {error}"
        );
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(from_bytes(&longer), Err(FileError::Truncated)));
    let mut damaged = bytes.clone();
    for place in 0..bytes.len() {
        for change in [0x01, 0x80] {
            damaged[place] ^= change;
            if let Ok(other) = from_bytes(&damaged) {
                // Blanks in the header, and names of unused metadata, may change; the model may
                // not.
                assert_eq!(other.program, model.program, "byte {place}");
                assert_eq!(other.weights, model.weights, "byte {place}");
            }
            damaged[place] = bytes[place];
        }
    }
}

/// A header that claims more than there is must not make the reader allocate it.
#[test]
fn claims_are_not_believed() {
    let mut bytes = u64::MAX.to_le_bytes().to_vec();
    bytes.extend(b"{}");
    assert!(matches!(from_bytes(&bytes), Err(FileError::Truncated)));
    for header in [
        r#"{"weight.0":{"dtype":"I64","shape":[1152921504606846976],"data_offsets":[0,9223372036854775808]}}"#,
        r#"{"weight.0":{"dtype":"I64","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
        r#"{"weight.0":{"dtype":"I64","shape":[18446744073709551616],"data_offsets":[0,0]}}"#,
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        assert!(from_bytes(&bytes).is_err(), "{header}");
    }
}

type Metadata = HashMap<String, String>;
type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

/// The file with its metadata and tensors changed, as another writer of safetensors could.
fn rewritten(change: impl FnOnce(&mut Metadata, &mut Tensors)) -> FileError {
    rewritten_of(&checked(), change)
}

fn rewritten_of(program: &Checked, change: impl FnOnce(&mut Metadata, &mut Tensors)) -> FileError {
    let bytes = to_bytes(program, Some(&sample_weights()), None).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let mut tensors: Tensors = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| (name.to_string(), view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    tensors.sort();
    change(&mut metadata, &mut tensors);
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    from_bytes(&safetensors::serialize(views, Some(metadata)).unwrap()).expect_err("a changed file is read")
}

#[test]
fn every_way_to_be_wrong_has_its_error() {
    let e = rewritten(|m, _| m.clear());
    assert!(matches!(e, FileError::NotCompiled), "{e}");
    let e = rewritten(|m, _| drop(m.insert("format".into(), "gguf".into())));
    assert!(matches!(e, FileError::NotCompiled), "{e}");
    let e = rewritten(|m, _| drop(m.insert("version".into(), (VERSION + 1).to_string())));
    assert!(
        matches!(e, FileError::Version { .. }) && e.to_string().contains("compile the model again"),
        "{e}"
    );
    for key in ["version", "program", "digest", "content", "weights_digest"] {
        let e = rewritten(|m, _| drop(m.remove(key)));
        assert!(matches!(e, FileError::Missing(k) if k == key), "{key}: {e}");
    }
    let e = rewritten(|m, _| drop(m.insert("content".into(), "share".into())));
    assert!(matches!(e, FileError::Content { .. }), "{e}");
    let e = rewritten(|m, _| drop(m.insert("content".into(), "public".into())));
    assert!(matches!(e, FileError::Extra { .. }), "{e}");
    let e = rewritten(|m, _| m.get_mut("program").unwrap().push(' '));
    assert!(matches!(e, FileError::Digest("program")), "{e}");
    let e = rewritten(|m, _| drop(m.insert("weights_digest".into(), weights_digest(&[]).to_string())));
    assert!(matches!(e, FileError::Digest("weights")), "{e}");
    let e = rewritten(|_, t| drop(t.remove(1)));
    assert!(matches!(&e, FileError::Tensor { name, .. } if name == "weight.1"), "{e}");
    assert!(e.to_string().contains("conv/b") && e.to_string().contains("is missing"), "{e}");
    let e = rewritten(|_, t| t.push(("weight.3".into(), Dtype::I8, vec![1], vec![0])));
    assert!(matches!(e, FileError::Extra { .. }), "{e}");
    let e = rewritten(|_, t| t[0].2.swap(2, 3));
    assert!(matches!(&e, FileError::Tensor { .. }) && e.to_string().contains("shape"), "{e}");
    let e = rewritten(|_, t| t[1].1 = Dtype::F32);
    assert!(matches!(&e, FileError::Tensor { .. }) && e.to_string().contains("not integers"), "{e}");
    let e = rewritten(|_, t| t[2].3[0] ^= 1);
    assert!(matches!(e, FileError::Digest("weights")), "{e}");
}

/// It holds the weights: nobody but its owner may read it, nor what is written in its place.
#[cfg(unix)]
#[test]
fn a_compiled_model_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    std::fs::write(&path, b"what was there").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    write(&path, &checked(), &sample_weights(), None).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
