# usta infer with pictures: decoded, resized, scaled, laid out as the input's type and the options say.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data
I=$US_SOURCE/tests/image/data

# A picture of two colours, 2 high, 3 wide: (10, 20, 30) and (110, 120, 130).
printf 'P3\n3 2\n255\n10 20 30 10 20 30 10 20 30 110 120 130 110 120 130 110 120 130\n' >"$T/a.ppm"
printf 'P3\n1 1\n255\n255 0 51\n' >"$T/b.ppm"

ok "a picture for [N,3,4,6]" "$USTA" infer --json "$D/picture.onnx" -i x="$T/b.ppm"
has "scaled by 1/255, three planes" '"data":[[1.0,0.0,0.2'
ok "bytes as they are" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --scale 1
has "mean of the channels" '"data":[[60.0,70.0,80.0]]'
ok "blue first" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --scale 1 --color bgr
has "turned round" '"data":[[80.0,70.0,60.0]]'
ok "mean and deviation" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --scale 1 --mean 60,60,60 --std 2,5,10
has "(pixel - mean) / std" '"data":[[0.0,2.0,2.0]]'
ok "one number for all" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --scale 1 --mean 60
has "of each channel" '"data":[[0.0,10.0,20.0]]'

mkdir "$T/folder"
cp "$T/a.ppm" "$T/folder/1.ppm"; cp "$T/b.ppm" "$T/folder/2.PPM"; echo text >"$T/folder/notes.txt"; cp "$I/rgb.jp2" "$T/folder/3.jp2"
ok "a folder" "$USTA" infer "$D/picture.onnx" -i x="$T/folder" --scale 1 -o "$T/out"
has "one file for each output" "$T/out/mean.npy"
is "of three rows, the first by name first" "$(tail -c 36 "$T/out/mean.npy" | head -c 24 | od -An -tf4 | tr -s ' \n' ' ')" " 60 70 80 255 0 51 "

ok "shorter side, then the middle" "$USTA" infer --json "$D/picture.onnx" -i x="$I/rgb.png" --resize-shorter 6
status 2 "a cut larger than the picture" "$USTA" infer --json "$D/picture.onnx" -i x="$I/rgb.png" --resize-shorter 3
has "says both sizes" "cannot cut 4 x 6 (height, width) from a picture of 3 x 5"
status 2 "a cut other than the input" "$USTA" infer --json "$D/picture.onnx" -i x="$I/rgb.png" --center-crop 5
has "names the input's size" "'x' takes 4 x 6"

status 2 "two pictures at a time, one given" "$USTA" infer --json "$D/pixels.onnx" -i x="$T/a.ppm"
has "says so" "takes 2 pictures at a time; 1 are given"
mkdir "$T/two"; cp "$T/a.ppm" "$T/two/1.ppm"; cp "$T/b.ppm" "$T/two/2.ppm"
status 2 "of different sizes" "$USTA" infer --json "$D/pixels.onnx" -i x="$T/two"
has "says which" "2.ppm: 1 x 1 (height, width)"
ok "cut to one size: gray, channels last, integers not scaled" "$USTA" infer --json "$D/pixels.onnx" -i x="$T/two" --center-crop 1
has "gray by ITU-R 601 of the rounded middle" '"shape":[2,1,1,1]'

ok "ImageDecoder takes the file's bytes" "$USTA" infer --json "$D/decoder.onnx" -i bytes="$T/a.ppm"
has "gives pixels" '"data":[[[18],[18],[18]],[[118],[118],[118]]]'
printf 'GIF89a' >"$T/bad.png"
ok "an empty image of bytes it cannot read" "$USTA" infer --json "$D/decoder.onnx" -i bytes="$T/bad.png"
has "as the standard wants it" '"shape":[0,0,1]'
has "with a warning" "gives an empty image"

status 2 "a broken picture" "$USTA" infer --json "$D/picture.onnx" -i x="$T/bad.png"
has "is named with what it is" "bad.png: 6 bytes that start with 47 49 46 38 are no image"
status 2 "an empty folder" "$USTA" infer --json "$D/picture.onnx" -i x="$D"
has "says so" "no picture in this folder"
status 2 "a picture for a vector" "$USTA" infer --json "$D/old.onnx" -i x="$T/a.ppm"
has "says what is taken" "takes no picture"
status 2 "gray for three channels" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --color gray
has "says so" "'x' has 3 channels"
status 2 "two means for three channels" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --mean 1,2
status 2 "no number" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --std one
status 2 "a deviation of 0" "$USTA" infer --json "$D/picture.onnx" -i x="$T/a.ppm" --std 0
t_end
