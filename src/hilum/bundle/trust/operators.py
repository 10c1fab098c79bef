"""The operators that a bundle may use: those of ONNX's standard domain that networks for pictures are made of.

Left out is whatever holds a graph within the graph and repeats it as often as the file likes (Loop, Scan, If,
SequenceMap), chance, text, sound, recurrence and training.
"""

from __future__ import annotations

ELEMENTWISE = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil
Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink
Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Where Xor
"""
LAYERS = """
Attention AveragePool BatchNormalization Conv ConvInteger ConvTranspose DeformConv DequantizeLinear Dropout
DynamicQuantizeLinear Einsum Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization Hardmax
InstanceNormalization LayerNormalization LogSoftmax LpNormalization LpPool LRN MatMul MatMulInteger MaxPool MaxRoiPool
MaxUnpool MeanVarianceNormalization QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RoiAlign RotaryEmbedding
Softmax
"""
SHAPES = """
AffineGrid ArgMax ArgMin CenterCropPad Col2Im Compress Concat Constant ConstantOfShape CumProd CumSum DepthToSpace
Expand EyeLike Flatten Gather GatherElements GatherND NonMaxSuppression NonZero OneHot Pad Range ReduceL1 ReduceL2
ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Reshape Resize
ReverseSequence Scatter ScatterElements ScatterND Shape Size Slice SpaceToDepth Split Squeeze Tile TopK Transpose
Trilu Unique Unsqueeze Upsample
"""
ALLOWED = frozenset(f"{ELEMENTWISE}{LAYERS}{SHAPES}".encode().split())
