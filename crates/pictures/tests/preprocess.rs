//! Pictures become inputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cryptflow_pictures::{Picture, apply};
use cryptflow_program::Preprocessing;

/// Red counts rows, green counts columns, blue is 200.
fn gradient(height: usize, width: usize) -> Picture {
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [y as u8, x as u8, 200])).collect();
    Picture::new(height, width, 3, pixels).unwrap()
}

#[test]
fn steps_in_order() {
    let none = Preprocessing::default;
    let cases: Vec<(&str, Picture, Preprocessing, Vec<usize>, Vec<f32>)> = vec![
        ("as it is", gradient(1, 2), none(), vec![1, 2, 3], vec![0., 0., 200., 0., 1., 200.]),
        ("flat", gradient(1, 2), none(), vec![6], vec![0., 0., 200., 0., 1., 200.]),
        (
            "middle of an odd rest",
            gradient(4, 5),
            Preprocessing { crop: Some([1, 2]), ..none() },
            vec![1, 2, 3],
            vec![1., 1., 200., 1., 2., 200.],
        ),
        (
            "channels first",
            gradient(1, 2),
            Preprocessing { channels_first: true, ..none() },
            vec![3, 1, 2],
            vec![0., 0., 0., 1., 200., 200.],
        ),
        (
            "mean and standard deviation belong to the turned channels",
            gradient(1, 1),
            Preprocessing {
                bgr: true,
                divide: Some(2.0),
                mean: vec![50., 1., 2.],
                std: vec![10., 1., 4.],
                ..none()
            },
            vec![1, 1, 3],
            vec![5., -1., -0.5],
        ),
        (
            "grey",
            Picture::new(1, 3, 3, vec![255, 0, 0, 0, 255, 0, 0, 0, 255]).unwrap(),
            Preprocessing { grey: true, ..none() },
            vec![1, 3],
            vec![76., 150., 29.],
        ),
        (
            "grey repeated",
            Picture::new(1, 1, 1, vec![9]).unwrap(),
            Preprocessing { mean: vec![1.0], ..none() },
            vec![1, 1, 3],
            vec![8., 8., 8.],
        ),
        (
            "halved: each pixel the weighted mean of four",
            Picture::new(2, 4, 1, vec![0, 0, 100, 100, 0, 0, 100, 100]).unwrap(),
            Preprocessing { resize: Some([1, 2]), ..none() },
            vec![1, 2, 1],
            vec![14., 86.],
        ),
    ];
    for (what, picture, p, shape, expected) in cases {
        assert_eq!(apply(picture, &p, &shape).unwrap(), expected, "{what}");
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let none = Preprocessing::default;
    let cases: Vec<(Picture, Preprocessing, Vec<usize>, &str)> = vec![
        (gradient(3, 4), none(), vec![2, 2, 3], "3×4 pixels with 3 channels, the model needs 2×2 pixels"),
        (gradient(3, 4), none(), vec![2, 2, 3], "--resize 2x2"),
        (gradient(2, 2), none(), vec![2, 2, 1], "--grey"),
        (gradient(2, 2), none(), vec![2, 2, 4], "pictures of 4 channels"),
        (gradient(2, 2), none(), vec![7], "7 numbers"),
        (gradient(2, 2), Preprocessing { crop: Some([3, 1]), ..none() }, vec![3, 1, 3], "at least 3×1"),
        (gradient(2, 2), Preprocessing { resize: Some([0, 1]), ..none() }, vec![3, 1, 3], "1 to 16384"),
        (gradient(1, 1), Preprocessing { mean: vec![1., 2.], ..none() }, vec![3], "mean has 2 numbers for 3"),
        (gradient(1, 1), Preprocessing { std: vec![0.0], ..none() }, vec![3], "std holds"),
        (gradient(1, 1), Preprocessing { divide: Some(0.0), ..none() }, vec![3], "divides by zero"),
        (
            Picture::new(1, 1, 1, vec![1]).unwrap(),
            Preprocessing { bgr: true, ..none() },
            vec![1, 1, 1],
            "needs 3 channels",
        ),
    ];
    for (picture, p, shape, message) in cases {
        let error = apply(picture, &p, &shape).unwrap_err().to_string();
        assert!(error.contains(message), "{error:?} does not say {message:?}");
    }
    assert!(Picture::new(0, 4, 3, vec![]).is_err());
    assert!(Picture::new(1, 4, 3, vec![0; 11]).is_err());
    assert!(Picture::new(usize::MAX, 4, 3, vec![0; 12]).is_err());
}

/// Expected values: Pillow 13.0, `Image.fromarray(pixels).resize((width, height),
/// Image.BILINEAR)`.
#[test]
fn as_pillow() {
    let ramp = |n: usize| (0..n).map(|i| (i * 37 % 256) as u8).collect::<Vec<u8>>();
    let cases: Vec<(Vec<u8>, usize, [usize; 2], [usize; 2], &[u8])> = vec![
        (ramp(35), 1, [5, 7], [2, 3], &[35, 114, 193, 41, 120, 199]),
        (
            ramp(12),
            1,
            [3, 4],
            [5, 6],
            &[
                0, 19, 43, 68, 93, 111, 59, 78, 102, 127, 101, 68, 148, 167, 191, 216, 113, 3, 83, 102, 126,
                151, 125, 92, 40, 59, 83, 108, 133, 151,
            ],
        ),
        (ramp(60), 3, [4, 5], [2, 2], &[97, 109, 131, 133, 110, 110, 139, 131, 119, 117, 138, 125]),
        (
            ramp(18),
            3,
            [2, 3],
            [2, 5],
            &[
                0, 37, 74, 44, 81, 118, 111, 148, 185, 178, 61, 98, 222, 3, 40, 77, 114, 151, 121, 158, 93,
                188, 225, 6, 101, 138, 73, 43, 80, 117,
            ],
        ),
        (ramp(6), 1, [6, 1], [2, 1], &[46, 139]),
        (
            ramp(81),
            1,
            [9, 9],
            [4, 4],
            &[95, 133, 113, 92, 122, 110, 133, 127, 141, 138, 119, 138, 112, 147, 151, 123],
        ),
    ];
    for (pixels, channels, from, to, expected) in cases {
        let picture = Picture::new(from[0], from[1], channels, pixels).unwrap();
        let p = Preprocessing { resize: Some(to), ..Preprocessing::default() };
        let resized = apply(picture, &p, &[to[0], to[1], channels]).unwrap();
        let expected: Vec<f32> = expected.iter().map(|&v| v.into()).collect();
        assert_eq!(resized, expected, "{from:?} to {to:?}");
    }
}
