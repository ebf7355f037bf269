// From the bytes of a sample's file to what a batch is made of.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "worker/trainer/data/batch.h"
#include "worker/trainer/data/batch_builder.h"

namespace lctl {

// Decodes one file of a sample. `name` begins its messages. Throws BadSample for wrong data. Called
// by several threads at once.
using FieldDecoder =
    std::function<Batch(std::span<const std::byte> bytes, const std::string& name)>;

// By extension in small letters: "jpg", or "seg.png" for those alone.
using FieldDecoders = std::map<std::string, FieldDecoder, std::less<>>;

// Decodes one file of a sample straight into a batch (put_image): makes `sample` that row of it,
// whose part number `missing` is the file's. Otherwise as a FieldDecoder.
using FieldPutter = std::function<void(BatchBuilder& batch, std::size_t row, Batch::List sample,
                                       std::size_t missing, std::span<const std::byte> bytes,
                                       const std::string& name)>;
using FieldPutters = std::map<std::string, FieldPutter, std::less<>>;

namespace webdataset {

// The decoder of an extension: the longest match of `given` first ("seg.png", then "png"), then
// what webdataset's decode() does:
//   cls cls2 class count index inx id   a whole number, int64
//   txt text transcript                 text, which must be UTF-8
//   json jsn                            a number, or a (nested) list of such, as torch.tensor()
//                                       types it: int64 or float32; anything else is text
//   gz behind another one               the other one, of the inflated bytes
//   others                              uint8: an empty decoder, the bytes themselves
// Throws MisconfigurationException for pickles, which could run any program (pyd, pickle, pkl,
// pth), for types nobody reads here (npz, tenbin, msgpack, cbor), and for images and npy that are
// not in `given`.
FieldDecoder decoder_of(const std::string& extension, const FieldDecoders& given);

}  // namespace webdataset
}  // namespace lctl
