//! Pooling against the definition.

use cryptflow_ring::Window;
use cryptflow_ring::pool::{sum_pool, taps, window_counts};

use super::random::Random;

fn random_window(random: &mut Random) -> Window {
    let mut pair = |low, high| [random.within(low, high), random.within(low, high)];
    Window { kernel: pair(1, 4), stride: pair(1, 5), dilation: pair(1, 2), padding: [pair(0, 2), pair(0, 2)] }
}

#[test]
fn sums_and_counts() {
    let mut random = Random(2);
    let mut done = 0;
    while done < 300 {
        let window = random_window(&mut random);
        let input = [random.within(0, 2), random.within(1, 9), random.within(1, 9), random.within(1, 5)];
        let Ok([out_h, out_w]) = window.output([input[1], input[2]]) else { continue };
        done += 1;
        let [batch, height, width, channels] = input;
        let x = random.words(input.iter().product());
        let mut sums = vec![0u64; batch * out_h * out_w * channels];
        let mut counts = vec![0u64; out_h * out_w];
        for (i, sum) in sums.iter_mut().enumerate() {
            let (c, ox, oy) = (i % channels, i / channels % out_w, i / channels / out_w % out_h);
            let image = i / channels / out_w / out_h;
            for ky in 0..window.kernel[0] {
                for kx in 0..window.kernel[1] {
                    let y = (oy * window.stride[0] + ky * window.dilation[0]) as isize
                        - window.padding[0][0] as isize;
                    let at = (ox * window.stride[1] + kx * window.dilation[1]) as isize
                        - window.padding[1][0] as isize;
                    if (0..height as isize).contains(&y) && (0..width as isize).contains(&at) {
                        let index = ((image * height + y as usize) * width + at as usize) * channels + c;
                        *sum = sum.wrapping_add(x[index]);
                        if image == 0 && c == 0 {
                            counts[oy * out_w + ox] += 1;
                        }
                    }
                }
            }
        }
        assert_eq!(sum_pool(&x, input, &window).unwrap(), sums, "{input:?} {window:?}");
        if batch > 0 {
            assert_eq!(window_counts([height, width], &window), counts, "{input:?} {window:?}");
        }
        let floats: Vec<f32> = x.iter().map(|&x| (x % 1000) as f32).collect();
        let small: Vec<u64> = x.iter().map(|&x| x % 1000).collect();
        let float_sums: Vec<u64> =
            sum_pool(&floats, input, &window).unwrap().iter().map(|&s| s as u64).collect();
        assert_eq!(float_sums, sum_pool(&small, input, &window).unwrap());
    }
}

#[test]
fn taps_leave_a_maximum_as_it_is() {
    let mut random = Random(3);
    let mut done = 0;
    while done < 500 {
        let (input, kernel) = (random.within(1, 12), random.within(1, 4));
        let (stride, dilation) = (random.within(1, 5), random.within(1, 3));
        let padding = [random.within(0, 3), random.within(0, 3)];
        let real = |o: usize| -> Vec<usize> {
            let at = |k| (o * stride + k * dilation) as isize - padding[0] as isize;
            (0..kernel).map(at).filter(|a| (0..input as isize).contains(a)).map(|a| a as usize).collect()
        };
        match taps(input, kernel, stride, dilation, padding) {
            Ok(all) => {
                let padded = input + padding[0] + padding[1];
                assert_eq!(all.len(), (padded - (kernel - 1) * dilation - 1) / stride + 1);
                for (o, seen) in all.iter().enumerate() {
                    let real = real(o);
                    assert_eq!(seen.len(), kernel);
                    assert!(seen.iter().all(|s| real.contains(s)) && real.iter().all(|r| seen.contains(r)));
                }
                done += 1;
            }
            Err(error) => {
                let fits = input + padding[0] + padding[1] > (kernel - 1) * dilation;
                assert_eq!(fits, error.to_string().contains("sees only padding"), "{error}");
            }
        }
    }
}

#[test]
fn impossible_windows_are_errors() {
    let window = |kernel, stride, dilation| Window {
        kernel: [kernel, 1],
        stride: [stride, 1],
        dilation: [dilation, 1],
        padding: [[0, 0]; 2],
    };
    let x = [0u64; 4];
    for (kernel, stride, dilation) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (3, 1, 1), (2, 1, usize::MAX)] {
        let window = window(kernel, stride, dilation);
        assert!(sum_pool(&x, [1, 2, 2, 1], &window).is_err(), "{window:?}");
        assert!(window_counts([2, 2], &window).is_empty());
    }
    assert!(sum_pool(&x, [1, 2, 2, 2], &window(1, 1, 1)).is_err());
    let padded = Window { padding: [[usize::MAX, 1], [0, 0]], ..window(1, 1, 1) };
    assert!(sum_pool(&x, [1, 2, 2, 1], &padded).is_err());
    assert!(taps(3, 2, 1, 1, [2, 0]).is_err());
    assert!(taps(0, 1, 1, 1, [1, 0]).is_err());
}
