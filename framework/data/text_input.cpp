#include "framework/data/text_input.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>

#include "framework/base/buffer.h"
#include "framework/base/error.h"

namespace throng::data {
namespace {
constexpr size_t kBlock = size_t{1} << 18;
constexpr uint64_t kMostAhead = uint64_t{4} << 20;  // room made at once, whatever is asked for

struct FileDescriptor {
  int fd = -1;
  ~FileDescriptor() {
    if (fd >= 0) ::close(fd);
  }
};

int open_to_read(const std::filesystem::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw data_error("{}: cannot be read: {}", path.string(), std::strerror(errno));
  return fd;
}
}  // namespace

Compression detect_compression(const std::filesystem::path& path) {
  FileDescriptor file{open_to_read(path)};
  unsigned char magic[4] = {};
  ssize_t n = ::read(file.fd, magic, sizeof magic);
  if (n < 0) throw data_error("{}: cannot be read: {}", path.string(), std::strerror(errno));
  if (n >= 2 && magic[0] == 0x1f && magic[1] == 0x8b) return Compression::kGzip;
  if (n >= 4 && magic[0] == 0x28 && magic[1] == 0xb5 && magic[2] == 0x2f && magic[3] == 0xfd) return Compression::kZstd;
  return Compression::kNone;
}

struct TextWindow::State {
  std::filesystem::path path;
  Compression compression = Compression::kNone;
  FileDescriptor file;
  AlignedVector<char> text;  // the window, after a part already given up
  size_t dropped = 0;        // bytes of `text` given up
  uint64_t base = 0;         // offset of text[0]
  bool ended = false;

  std::string input;    // compressed bytes not yet used
  size_t input_at = 0;
  uint64_t file_offset = 0;
  z_stream gzip{};
  bool gzip_open = false, in_frame = false;
  ZSTD_DStream* zstd = nullptr;

  ~State() {
    if (gzip_open) ::inflateEnd(&gzip);
    ZSTD_freeDStream(zstd);
  }

  size_t read_block(char* into, size_t n) {
    for (;;) {
      ssize_t got = ::pread(file.fd, into, n, off_t(file_offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw data_error("{}: reading at byte {} failed: {}", path.string(), file_offset, std::strerror(errno));
      file_offset += uint64_t(got);
      return size_t(got);
    }
  }
  bool refill() {
    if (input_at < input.size()) return true;
    input.resize(kBlock);
    input.resize(read_block(input.data(), kBlock));
    input_at = 0;
    return !input.empty();
  }
  [[noreturn]] void truncated(const char* what) const {
    throw data_error("{}: the {} data ends in the middle, after {} bytes of text", path.string(), what, base + text.size())
        .with_hint("the file was cut short: copy or download it again");
  }

  // Appends up to a block of text; sets `ended` at the end of the file.
  void grow() {
    size_t old = text.size();
    text.resize(old + kBlock);
    size_t made = compression == Compression::kNone ? read_block(text.data() + old, kBlock)
                  : compression == Compression::kGzip ? inflate_block(text.data() + old)
                                                      : zstd_block(text.data() + old);
    text.resize(old + made);
    if (made == 0) ended = true;
  }

  size_t inflate_block(char* into) {
    gzip.next_out = reinterpret_cast<Bytef*>(into);
    gzip.avail_out = kBlock;
    while (gzip.avail_out == kBlock) {
      if (!refill()) {
        if (in_frame) text.resize(text.size() - kBlock), truncated("gzip");
        return 0;
      }
      if (!in_frame) {
        if (!gzip_open) {
          if (::inflateInit2(&gzip, 15 + 16) != Z_OK) throw system_error("zlib cannot be started");
          gzip_open = true;
        } else {
          ::inflateReset(&gzip);
        }
        in_frame = true;
      }
      gzip.next_in = reinterpret_cast<Bytef*>(input.data() + input_at);
      gzip.avail_in = uInt(input.size() - input_at);
      int code = ::inflate(&gzip, Z_NO_FLUSH);
      input_at = input.size() - gzip.avail_in;
      if (code == Z_STREAM_END)
        in_frame = false;  // another member may follow
      else if (code != Z_OK && code != Z_BUF_ERROR)
        throw data_error("{}: damaged gzip data near byte {}: {}", path.string(), file_offset - gzip.avail_in, gzip.msg ? gzip.msg : "unknown");
    }
    return kBlock - gzip.avail_out;
  }

  size_t zstd_block(char* into) {
    if (!zstd) zstd = ZSTD_createDStream();
    ZSTD_outBuffer out{into, kBlock, 0};
    while (out.pos == 0) {
      if (!refill()) {
        if (in_frame) text.resize(text.size() - kBlock), truncated("zstd");
        return 0;
      }
      ZSTD_inBuffer in{input.data(), input.size(), input_at};
      size_t left = ZSTD_decompressStream(zstd, &out, &in);
      input_at = in.pos;
      if (ZSTD_isError(left))
        throw data_error("{}: damaged zstd data near byte {}: {}", path.string(), file_offset, ZSTD_getErrorName(left));
      in_frame = left != 0;
    }
    return out.pos;
  }
};

TextWindow::TextWindow(std::filesystem::path path, uint64_t offset) : state_(std::make_unique<State>()) {
  state_->compression = detect_compression(path);
  state_->file.fd = open_to_read(path);
  state_->path = std::move(path);
  if (state_->compression == Compression::kNone)
    state_->file_offset = state_->base = offset;
  else
    discard_before(offset);
}
TextWindow::~TextWindow() = default;
TextWindow::TextWindow(TextWindow&&) noexcept = default;

bool TextWindow::ensure(uint64_t offset) {
  if (offset > end() + kBlock && !state_->ended) state_->text.reserve(size_t(std::min(offset, end() + kMostAhead) - state_->base) + 2 * kBlock);
  while (end() < offset && !state_->ended) state_->grow();
  return end() >= offset;
}

void TextWindow::discard_before(uint64_t offset) {
  auto& s = *state_;
  if (offset <= begin()) return;
  while (end() < offset && !s.ended) {
    s.base = end(), s.dropped = 0;
    s.text.clear();
    s.grow();
  }
  s.dropped = size_t(std::min(offset, end()) - s.base);
  if (s.dropped > s.text.size() / 2) {
    s.text.erase(s.text.begin(), s.text.begin() + ptrdiff_t(s.dropped));
    s.base += s.dropped;
    s.dropped = 0;
  }
}

std::string_view TextWindow::from(uint64_t offset) const {
  THRONG_CHECK(offset >= begin() && offset <= end(), "offset {} of a window [{}, {})", offset, begin(), end());
  return std::string_view(state_->text.data(), state_->text.size()).substr(size_t(offset - state_->base));
}
uint64_t TextWindow::begin() const { return state_->base + state_->dropped; }
uint64_t TextWindow::end() const { return state_->base + state_->text.size(); }
bool TextWindow::at_end() const { return state_->ended; }

// ------------------------------------------------------------------------------------------------- writing

struct TextOutput::State {
  std::filesystem::path path;
  std::FILE* file = nullptr;
  gzFile gzip = nullptr;
  ZSTD_CStream* zstd = nullptr;
  std::string buffer;
  ~State() {
    if (file) std::fclose(file);
    if (gzip) ::gzclose(gzip);
    ZSTD_freeCStream(zstd);
  }
  [[noreturn]] void fail() const { throw system_error("{}: cannot be written: {}", path.string(), std::strerror(errno)); }
  void put(const void* data, size_t n) {
    if (n && std::fwrite(data, 1, n, file) != n) fail();
  }
  void compress(std::string_view text, ZSTD_EndDirective end) {
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    for (size_t left = 1; left != 0 || in.pos < in.size;) {
      buffer.resize(ZSTD_CStreamOutSize());
      ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
      left = ZSTD_compressStream2(zstd, &out, &in, end);
      if (ZSTD_isError(left)) throw system_error("{}: zstd: {}", path.string(), ZSTD_getErrorName(left));
      put(buffer.data(), out.pos);
      if (end == ZSTD_e_continue && in.pos == in.size) break;
    }
  }
};

TextOutput::TextOutput(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  if (path.extension() == ".gz") {
    state_->gzip = ::gzopen(path.c_str(), "wb6");
    if (!state_->gzip) state_->fail();
    return;
  }
  state_->file = std::fopen(path.c_str(), "wb");
  if (!state_->file) state_->fail();
  if (path.extension() == ".zst") state_->zstd = ZSTD_createCStream();
}
TextOutput::~TextOutput() = default;

void TextOutput::write(std::string_view text) {
  auto& s = *state_;
  if (s.gzip) {
    for (size_t at = 0; at < text.size(); at += kBlock)
      if (::gzwrite(s.gzip, text.data() + at, unsigned(std::min(kBlock, text.size() - at))) <= 0) s.fail();
  } else if (s.zstd) {
    s.compress(text, ZSTD_e_continue);
  } else {
    s.put(text.data(), text.size());
  }
}

void TextOutput::close() {
  auto& s = *state_;
  if (s.gzip && ::gzclose(std::exchange(s.gzip, nullptr)) != Z_OK) s.fail();
  if (s.zstd) s.compress({}, ZSTD_e_end);
  if (s.file && std::fclose(std::exchange(s.file, nullptr)) != 0) s.fail();
}

}  // namespace throng::data
