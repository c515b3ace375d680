//! Figures of numbers: whole numbers stay whole as long as that is exact.

use super::order;
use serde_json::{Number, Value};

/// The sum; 0 of none. `None`: it is too large for a number.
#[must_use]
pub fn sum(numbers: &[Number]) -> Option<Number> {
    match whole_sum(numbers) {
        Some(whole) => whole_number(whole),
        None => Number::from_f64(float_sum(numbers.iter().filter_map(Number::as_f64))),
    }
}

/// The mean; null of none. `None`: its sum is too large for a number.
#[must_use]
pub fn mean(numbers: &[Number]) -> Option<Value> {
    let count = numbers.len();
    if count == 0 {
        return Some(Value::Null);
    }
    // No list is so long that its length is no whole number.
    let divisor = count as i128;
    if let Some(whole) = whole_sum(numbers).filter(|sum| sum % divisor == 0) {
        return whole_number(whole / divisor).map(Value::Number);
    }
    let mean = match whole_sum(numbers) {
        Some(sum) => sum as f64 / count as f64,
        None => float_sum(numbers.iter().filter_map(Number::as_f64)) / count as f64,
    };
    Number::from_f64(mean).map(Value::Number)
}

/// The least; of equal ones the first.
#[must_use]
pub fn least(numbers: &[Number]) -> Option<&Number> {
    numbers.iter().min_by(|a, b| order::numbers(a, b))
}

/// The greatest; of equal ones the first.
#[must_use]
pub fn greatest(numbers: &[Number]) -> Option<&Number> {
    numbers.iter().rev().max_by(|a, b| order::numbers(a, b))
}

/// The one in the middle, or the mean of the two there.
#[must_use]
pub fn median(numbers: &[Number]) -> Option<Value> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(order::numbers);
    let middle = sorted.len() / 2;
    let of = if sorted.len() % 2 == 1 { middle..middle + 1 } else { middle.saturating_sub(1)..middle + 1 };
    mean(sorted.get(of).unwrap_or_default())
}

/// The standard deviation of these numbers themselves (not an estimate from a sample); null of none.
#[must_use]
pub fn deviation(numbers: &[Number]) -> Option<Value> {
    let floats = || numbers.iter().filter_map(Number::as_f64);
    let Some(Value::Number(mean)) = mean(numbers) else {
        return numbers.is_empty().then_some(Value::Null);
    };
    let mean = mean.as_f64()?;
    let squares = float_sum(floats().map(|number| (number - mean).powi(2)));
    Number::from_f64((squares / numbers.len() as f64).sqrt()).map(Value::Number)
}

/// `None`: not all of them are whole.
fn whole_sum(numbers: &[Number]) -> Option<i128> {
    // Fewer than 2^63 numbers below 2^64: it always fits.
    numbers.iter().try_fold(0_i128, |sum, number| sum.checked_add(number.as_i128()?))
}

/// A whole number, or the nearest one that JSON readers can hold.
fn whole_number(whole: i128) -> Option<Number> {
    Number::from_i128(whole).or_else(|| Number::from_f64(whole as f64))
}

/// A sum that minds what each addition rounds away (Neumaier).
fn float_sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for number in numbers {
        let next = sum + number;
        lost += if sum.abs() >= number.abs() { (sum - next) + number } else { (number - next) + sum };
        sum = next;
    }
    // Beyond the largest number what was lost is none.
    if sum.is_finite() { sum + lost } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(value: Value) -> Vec<Number> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn whole_numbers_stay_whole_where_that_is_exact() {
        let told = |numbers: Value| {
            let numbers = list(numbers);
            json!([sum(&numbers), mean(&numbers), median(&numbers)]).to_string()
        };
        assert_eq!(told(json!([1, 2, 3])), "[6,2,2]");
        assert_eq!(told(json!([1, 2])), "[3,1.5,1.5]");
        assert_eq!(told(json!([1, 2.0])), "[3.0,1.5,1.5]");
        assert_eq!(told(json!([])), "[0,null,null]");
        // Their sum is 2^65, which no float before it could have held exactly.
        let large =
            json!([9_007_199_254_740_993_u64, 18_446_744_073_709_551_615_u64, 1, 18_437_736_874_454_810_623_u64]);
        assert_eq!(told(large), "[3.6893488147419103e+19,9223372036854775808,9223372036854775808]");
        assert_eq!(told(json!([1e16, 1.0, -1e16])), "[1.0,0.3333333333333333,1.0]", "nothing is rounded away");
    }

    #[test]
    fn sums_beyond_the_largest_number_are_none() {
        let numbers = list(json!([1e308, 1e308]));
        assert_eq!((sum(&numbers), mean(&numbers)), (None, None));
        assert_eq!(sum(&list(json!([1e100, 1.0, -1e100]))), Number::from_f64(1.0));
    }

    #[test]
    fn least_and_greatest_are_the_first_of_equal_ones() {
        let numbers = list(json!([2, 1, 1.0, 2.0]));
        assert_eq!((least(&numbers), greatest(&numbers)), (Some(&numbers[1]), Some(&numbers[0])));
        assert_eq!(deviation(&list(json!([2, 4, 4, 4, 5, 5, 7, 9]))), Some(json!(2.0)));
        assert_eq!(deviation(&[]), Some(Value::Null));
    }
}
