// Prints the test vectors of tests/values/test_go_text.py: values and what Go's fmt makes of them.
//
// Run: go run tests/data/go_format_vectors.go > tests/data/go_format_vectors.json
//
// A value is written with its type, because JSON cannot tell 1 from 1.0, nor a NaN:
// {"int": "-3"}, {"float": "3ff0000000000000" (IEEE 754 bits)}, {"str": "a"}, {"bool": true},
// {"nil": true}, {"bytes": "00ff"}, {"list": [...]}, {"map": [[key, value], ...]}.
package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"
	"time"
)

type object = map[string]any

func encode(v any) object {
	switch o := v.(type) {
	case nil:
		return object{"nil": true}
	case bool:
		return object{"bool": o}
	case int64, uint64:
		return object{"int": fmt.Sprintf("%d", o)}
	case float64:
		return object{"float": fmt.Sprintf("%016x", math.Float64bits(o))}
	case string:
		return object{"str": o}
	case []byte:
		return object{"bytes": hex.EncodeToString(o)}
	case []any:
		items := make([]any, 0, len(o))
		for _, item := range o {
			items = append(items, encode(item))
		}
		return object{"list": items}
	case map[any]any:
		entries := make([]any, 0, len(o))
		for key, value := range o {
			entries = append(entries, []any{encode(key), encode(value)})
		}
		return object{"map": entries}
	case map[string]any:
		entries := make([]any, 0, len(o))
		for key, value := range o {
			entries = append(entries, []any{encode(key), encode(value)})
		}
		return object{"map": entries}
	}
	panic(fmt.Sprintf("no encoding for %T", v))
}

func floats() []any {
	random := rand.New(rand.NewSource(1))
	values := []any{
		0.0, math.Copysign(0, -1), 1.0, -1.0, 0.1, 1.0 / 3, 0.5, 1.5, 100.0, 123.456,
		1e-3, 1e-4, 1.25e-4, 1e-5, 1.25e-5, 99999.0, 100000.0, 999999.0, 999999.5, 1000000.0,
		1000001.0, 1234567.0, 123456.7, 1234567.8, 123456789.0, 1e20, 1e21, 1e22, 1.5e300,
		1e-300, 5e-324, math.MaxFloat64, float64(math.MaxInt64),
		float64(1 << 53), float64(1<<53 + 2), math.Pi, math.E, math.NaN(), math.Inf(1), math.Inf(-1),
	}
	for exponent := -30; exponent <= 30; exponent++ {
		values = append(values, math.Pow(10, float64(exponent)), -7.25*math.Pow(10, float64(exponent)))
	}
	for i := 0; i < 150; i++ {
		values = append(values, math.Float64frombits(random.Uint64()))
	}
	for i := 0; i < 100; i++ {
		values = append(values, (random.Float64()-0.5)*math.Pow(10, float64(random.Intn(24)-8)))
	}
	return values
}

func others() []any {
	return []any{
		nil, true, false, int64(0), int64(-1), int64(math.MaxInt64), int64(math.MinInt64),
		uint64(math.MaxUint64), "", "text", "two words", "quote\"s", "né\n{{.x}}",
		[]byte{}, []byte{0, 1, 255}, []any{}, map[any]any{}, map[string]any{},
		[]any{int64(1), "x", nil, true, 1.0, 1e6},
		[]any{[]any{int64(1)}, []any{}, map[any]any{"k": []any{"a b", nil}}},
		map[any]any{"b": int64(2), "a": int64(1), "": nil, "B": "x", "é": 0.5, "a b": []byte("hi")},
		map[any]any{int64(10): "ten", int64(-3): "minus", int64(9): "nine"},
		map[any]any{2.5: "a", -1.0: "b", math.Inf(-1): "c", math.NaN(): "d"},
		map[any]any{true: int64(1), false: int64(0)},
		map[string]any{
			"rows": 3.0, "mean": 0.25, "big": 1234567.0, "tags": []any{"x", "y"}, "none": nil,
			"nested": map[string]any{"z": true, "y": map[string]any{}},
		},
	}
}

func main() {
	type vector struct {
		Value object `json:"value"`
		Text  string `json:"text"`
	}
	type moment struct {
		Seconds int64  `json:"seconds"`
		Nanos   int    `json:"nanos"`
		Text    string `json:"text"`
	}
	var values []vector
	for _, v := range append(floats(), others()...) {
		values = append(values, vector{encode(v), fmt.Sprintf("%v", v)})
	}
	var moments []moment
	for _, seconds := range []int64{0, 1, -1, 1577836800, 1700000000, -62135596800, 253402300799} {
		for _, nanos := range []int{0, 1, 1000, 120000, 500000000, 999999999, 123456789, 100000000} {
			text := time.Unix(seconds, int64(nanos)).UTC().Format(time.RFC3339Nano)
			moments = append(moments, moment{seconds, nanos, text})
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object{"values": values, "timestamps": moments}); err != nil {
		panic(err)
	}
}
